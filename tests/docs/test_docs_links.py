import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, FENCE, README, ROOT, pages

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
LINKING = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *pages()]


def links(page: Path) -> list[tuple[Path, str]]:
    """The places in this repository that a page links to: the file, and the heading in it."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found: list[tuple[Path, str]] = []
    for target in LINK.findall(text):
        if not target.startswith(("http://", "https://")):
            file, _, heading = target.partition("#")
            found.append(((page.parent / file).resolve() if file else page, heading))
    return found


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [
        f"{target}#{heading}"
        for target, heading in links(page)
        if not target.exists() or (heading and heading not in anchors(target))
    ]

    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached: set[Path] = set()
    ahead = [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.exists():
            reached.add(page)
            ahead += [target for target, _ in links(page) if target.suffix == ".md"]

    assert set(pages()) - reached == set()
