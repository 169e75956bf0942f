"""No quaint words in what people read. `plain_words` has the list, `prose` says what of a file is read."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.plain_words import WORDS, QuaintWord
from tests.docs.prose import READERS, changelog, markdown, prose, python, script, sql, template

# Add a folder or a file as soon as it is clean: "statemachine", "runtime/web", "CHANGELOG.md", ….
FOLDERS = {
    "README.md",
    "benchmarks",
    "coremachine",
    "diagrams",
    "docs",
    "examples",
    "runtime/app",
    "runtime/bench",
    "runtime/bus",
    "runtime/cli",
    "runtime/embedded",
    "runtime/errors.py",
    "runtime/executor",
    "runtime/flow",
    "runtime/functions",
    "runtime/leases",
    "runtime/logs.py",
    "runtime/reconciler",
    "runtime/relay",
    "runtime/settings.py",
    "runtime/soak",
    "runtime/sql",
    "runtime/sql/bench",
    "runtime/sql/soak",
    "runtime/store",
    "runtime/web",
    "runtime/worker",
    "sql_generator",
    "statemachine",
}

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "docs/explanation/soak-report.md": ("told beside",),  # what the program printed on that day
}
"""Texts of others that a file quotes, by file."""


def files(name: str) -> Iterator[Path]:
    """The files of a folder that hold prose; links to other folders are not followed."""
    place = ROOT / name
    if place.is_file():
        yield place
        return
    for path in sorted(place.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from files(str(path.relative_to(ROOT)))
        elif path.suffix in READERS:
            yield path


def quaint(text: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """What to change in a text, line by line."""
    for quoted in allowed:
        text = text.replace(quoted, " " * len(quoted))
    words: list[str] = []
    lines: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words += line.split()
        lines += [number] * len(line.split())
    running = " ".join(words)
    found = [
        (lines[running.count(" ", 0, match.start())], match[0], word.write)
        for word in WORDS
        for match in word.expression().finditer(running)
    ]
    return [f"line {line}: {match!r}, write: {write}" for line, match, write in sorted(found)]


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_a_folder_has_no_quaint_words(name: str) -> None:
    read = list(files(name))
    complaints = [
        f"{where}: {complaint}"
        for path in read
        for where in [path.relative_to(ROOT).as_posix()]
        for complaint in quaint(prose(path), ALLOWED.get(where, ()))
    ]

    assert read
    assert complaints == [], "\n" + "\n".join(complaints)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.found)
def test_a_word_is_found_and_what_looks_like_it_is_not(word: QuaintWord) -> None:
    assert any(word.write in complaint for complaint in quaint(word.found))
    assert quaint(word.plain) == []


def test_a_phrase_is_found_across_a_line_break() -> None:
    assert quaint("It waits in\nvain.") == ["line 1: 'in vain', write: without success; stuck"]


@pytest.mark.parametrize(
    ("read", "text", "lines"),
    [
        (markdown, "Run it anew.\n", [1]),
        (markdown, "`anew`\n\n```text\nanew\n```\n\n[a page](anew.md)\n", []),
        (markdown, "```python\nprint('anew')\n```\n", [2]),
        (markdown, "A single ` is no code.\n\nRun it anew, with `x`.\n", [1, 3]),
        (markdown, "<!-- events: written by a program -->\nanew\n<!-- end -->\n\nanew\n", [5]),
        (changelog, "## [Unreleased]\n\nanew\n\n## [0.1.0]\n\nanew\n", [3]),
        (python, '"""Run anew."""\n\nx = 1  # anew\n', [1, 3]),
        (python, 'raise ValueError(f"run {anew} it anew")\nanew = told["anew"]\n', [1]),
        (python, "# It waits in\n# vain.\n", [1]),
        (python, "def f():\n    # It waits in\n    # vain.\n    return in_vain\n", [2]),
        (python, 'x = (\n    "it waits in"\n    " vain"\n)\n', [2]),
        (python, '"""Quotes `anew`."""\n', []),
        (sql, "-- Counts anew, in\n-- vain.\nSELECT anew FROM told\n", [1, 1]),
        (template, '<p class="anew">{{ anew }} Run anew <b title="told">x</b></p>\n', [1, 1]),
        (script, '// told\nconst anew = "https://anew"; /* in\n vain */\n', [1, 2]),
    ],
)
def test_only_what_people_read_is_checked(read: Callable[[str], str], text: str, lines: list[int]) -> None:
    shown = read(text)

    assert len(shown) == len(text)
    assert [int(complaint.split()[1].rstrip(":")) for complaint in quaint(shown)] == lines


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_what_is_allowed_is_still_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    assert [quoted for quoted in ALLOWED[name] if quoted not in text] == []
