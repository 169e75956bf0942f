from pathlib import Path

import pytest

from tests.docs.pages import DOCS, blocks, missing, output_shown, pages, run_page

RUN = [page for page in pages() if blocks(page, "python", "console")]


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_runs_and_prints_what_it_shows(page: Path, tmp_path: Path, url: str) -> None:
    printed = run_page(page, tmp_path, url)

    assert missing(output_shown(page), printed) == [], printed
