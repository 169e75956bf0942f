"""The paths on docs/explanation/architecture.md exist."""

import re

from tests.docs.pages import DOCS, FENCE, ROOT

PAGE = DOCS / "explanation" / "architecture.md"
CODE_SPAN = re.compile(r"`([^`\s]+)`")
FOLDER = re.compile(r"^(\w+/)  ", re.MULTILINE)


def named() -> set[str]:
    """The folders of the two listings, and the files in the text."""
    text = PAGE.read_text(encoding="utf-8")
    root, runtime = (set(FOLDER.findall(match["text"])) for match in FENCE.finditer(text))
    prose = FENCE.sub("", text)
    files = {span for span in CODE_SPAN.findall(prose) if "/" in span}
    return root | {f"runtime/{folder}" for folder in runtime} | files


def test_every_path_exists() -> None:
    paths = named()

    assert {"statemachine/", "runtime/flow/", "runtime/flow/advance.py"} <= paths
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_every_folder_of_the_runtime_is_listed() -> None:
    folders = {f"runtime/{path.parent.name}/" for path in (ROOT / "runtime").glob("*/__init__.py")}

    assert folders - named() == set()
