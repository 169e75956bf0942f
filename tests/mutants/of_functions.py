"""One thing taken out of a function that counts or keeps order: a statement, a sum, a sign, a filter, an order."""

import re
from collections.abc import Iterator

from tests.mutants.conditions import Left

COUNTS = "count_"
UPKEEP = ("forget", "retire_jobs", "repair_job")
REFUSAL = "IF NOT FOUND THEN"
STATEMENT = re.compile(r"^ +(DELETE|UPDATE|PERFORM|repaired :=)[^;]*;", re.MULTILINE)
SUM = re.compile(r"(\w+) = p\.\1 \+ change\.\1(?:, )?")
SIGN = re.compile(r"(?<=, )-(?=\w)|(?<=[ ,])1(?= AS n\b)")
COALESCE = re.compile(r"coalesce\((.*?), 0\)(?= AS)")
ORDER = re.compile(r" ORDER BY \w\.\w+")
DIFFERS = re.compile(r"d\.\w+ <> 0(?: OR )?")
MEMBERS = re.compile(r"'\{([\w,]+)\}'")
SETS = re.compile(r"(?<![.\w])(\w+) = (?:counted|c)\.\w+(?:, )?")
COMPARED = re.compile(r"\(([sj]\.\w+(?:, [sj]\.\w+)+)\) <> \(([^)]*)\)")


def pieces_out(name: str, body: str) -> Iterator[Left]:
    """What is left of the body of the function called `name`."""
    if name.startswith(COUNTS):
        yield from _of_counting(body)
    if name in UPKEEP:
        yield from _of_upkeep(body)


def _of_counting(body: str) -> Iterator[Left]:
    for pattern, instead in ((SUM, ""), (COALESCE, r"\1"), (ORDER, ""), (DIFFERS, "")):
        for found in pattern.finditer(body):
            yield _left(body, found.start(), found.end(), found.expand(instead), found.group())
    for found in SIGN.finditer(body):
        left = "" if found.group() == "-" else "-1"
        yield _left(body, found.start(), found.end(), left, f"the sign of {body[found.start() : found.end() + 14]}")
    refusal = body.index(REFUSAL)
    yield _left(body, refusal, refusal + len(REFUSAL), "IF false THEN", "the refusal")
    yield from _members(body)


def _members(body: str) -> Iterator[Left]:
    for found in MEMBERS.finditer(body):
        members = found.group(1).split(",")
        for member in members:
            others = ",".join(one for one in members if one != member)
            yield _left(body, found.start(1), found.end(1), others, f"{member} of {found.group(1)}")


def _of_upkeep(body: str) -> Iterator[Left]:
    for found in STATEMENT.finditer(body):
        yield _left(body, found.start(), found.end(), "", f"{found.group()}")
    for found in SETS.finditer(body):
        yield _left(body, found.start(), found.end(), "", f"SET {found.group()}")
    for found in COMPARED.finditer(body):
        ours, theirs = (found.group(at).split(", ") for at in (1, 2))
        for at, column in enumerate(ours):
            pairs = [", ".join(one for n, one in enumerate(row) if n != at) for row in (ours, theirs)]
            yield _left(body, found.start(), found.end(), f"({pairs[0]}) <> ({pairs[1]})", f"compared {column}")


def _left(body: str, start: int, end: int, instead: str, out: str) -> Left:
    """The body with something else from `start` to `end`, named with the place, as the same may stand there twice."""
    before = re.sub(r"(,\s*|\s+OR\s+)$", " ", body[:start]) if _ends_a_list(body[start:end]) else body[:start]
    where = "changes" if "\n  ELSE\n" in body[:start] else "births"
    place = f" at {where}" if "TG_OP" in body else f" in line {body[:start].count(chr(10))}"
    return Left(" ".join(out.split())[:70].rstrip(", ") + place, f"{before}{instead}{body[end:]}")


def _ends_a_list(out: str) -> bool:
    """Whether what is taken out was the last of several, so that the comma or OR before it has nothing to join."""
    listed = any(pattern.fullmatch(out) for pattern in (SUM, SETS, DIFFERS))
    return listed and not out.endswith((", ", " OR "))
