"""What a person reads in a file: its text with the code, and whatever else is no prose, blanked out.

Each reader returns a text of the same length and with the same lines, so that a match has its line number. Code becomes
a sign that no pattern matches, so that a phrase is found across a line break but not across code.
"""

import io
import re
import tokenize
from collections.abc import Callable, Iterable
from pathlib import Path

CODE = "\x00"
FENCE = re.compile(r"^```(?P<language>\w*)\n.*?^```$", re.MULTILINE | re.DOTALL)
OUTPUT = {"text", "console"}
GENERATED = re.compile(r"<!-- \w+: written by .*?<!-- end -->", re.DOTALL)
FENCE_LINE = re.compile(r"^```.*$", re.MULTILINE)
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
LINK_TARGET = re.compile(r"\]\([^)\s]*\)")
UNRELEASED = re.compile(r"^## \[Unreleased\].*?(?=^## \[|\Z)", re.MULTILINE | re.DOTALL)
SQL_COMMENT = re.compile(r"--[^\n]*")
SCRIPT_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\w\"'])//[^\n]*", re.DOTALL)
COMMENT_SIGN = re.compile(r"^(?:--|//|/\*)|\*/$")
TEMPLATE_CODE = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)
TAG = re.compile(r"<[^<>]*>", re.DOTALL)
READ_ALOUD = re.compile(r"\b(?:alt|aria-label|placeholder|title)=\"(?P<text>[^\"]*)\"")
STRING = re.compile(r"(?P<prefix>[A-Za-z]*)(?P<quotes>\"\"\"|'''|\"|')(?P<text>.*)(?P=quotes)", re.DOTALL)
FIELD = re.compile(r"\{\{|\}\}|\{[^{}]*\}")


def blank(text: str, sign: str = CODE) -> str:
    """A sign for each character; blanks and line breaks stay."""
    return re.sub(r"\S", sign, text)


def without(pattern: re.Pattern[str], text: str) -> str:
    """The text with every match blanked."""
    return pattern.sub(lambda match: blank(match[0]), text)


def only(spans: Iterable[tuple[int, int]], text: str) -> str:
    """The text with everything blanked but these spans."""
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += [blank(text[at:start]), text[start:end]]
        at = end
    return "".join([*parts, blank(text[at:])])


def comments(pattern: re.Pattern[str], text: str) -> str:
    """The comments that match, without the signs that begin and end them."""
    parts: list[str] = []
    at = 0
    for match in pattern.finditer(text):
        words = COMMENT_SIGN.sub(lambda sign: " " * len(sign[0]), match[0])
        parts += [blank(text[at : match.start()]), words]
        at = match.end()
    return "".join([*parts, blank(text[at:])])


def markdown(text: str) -> str:
    """A page. The output of programs and the generated tables are checked in the code that they come from."""
    text = without(GENERATED, text)
    text = FENCE.sub(lambda match: blank(match[0]) if match["language"] in OUTPUT else match[0], text)
    return without(LINK_TARGET, without(INLINE_CODE, without(FENCE_LINE, text)))


def changelog(text: str) -> str:
    """A changelog: what is not released yet."""
    return markdown(only((match.span() for match in UNRELEASED.finditer(text)), text))


def python(text: str) -> str:
    """A module: its docstrings, comments and messages. A string without a space is a name, not a message."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    read = list(blank(text))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        read[start:end] = _shown(token, text[start:end])
    return without(INLINE_CODE, "".join(read))


def _shown(token: tokenize.TokenInfo, source: str) -> str:
    name = tokenize.tok_name[token.type]
    if name == "COMMENT":
        return " " + source[1:]
    if name == "FSTRING_MIDDLE":
        return source
    if name in {"FSTRING_START", "FSTRING_END"}:
        return blank(source, " ")
    if name != "STRING":
        return blank(source)
    match = STRING.fullmatch(source)
    if match is None or " " not in match["text"].strip("\n"):
        return blank(source)
    text = without(FIELD, match["text"]) if "f" in match["prefix"].lower() else match["text"]
    return f"{blank(source[: match.start('text')], ' ')}{text}{blank(match['quotes'], ' ')}"


def sql(text: str) -> str:
    """A statement: its comments."""
    return comments(SQL_COMMENT, text)


def template(text: str) -> str:
    """A page's template: what stands between its tags, and what a screen reader reads out."""
    text = without(TEMPLATE_CODE, text)
    return TAG.sub(lambda tag: only((match.span("text") for match in READ_ALOUD.finditer(tag[0])), tag[0]), text)


def script(text: str) -> str:
    """A script or a style sheet: its comments."""
    return comments(SCRIPT_COMMENT, text)


READERS: dict[str, Callable[[str], str]] = {
    ".css": script,
    ".html": template,
    ".js": script,
    ".md": markdown,
    ".py": python,
    ".sql": sql,
}


def prose(path: Path) -> str:
    """What a person reads in this file."""
    read = changelog if path.name == "CHANGELOG.md" else READERS[path.suffix]
    return read(path.read_text(encoding="utf-8"))
