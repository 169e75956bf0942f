"""The version is written in pyproject.toml and nowhere else."""

import importlib.metadata
import re
import tomllib
from datetime import date

import pytest

import coremachine
from tests.packaging.sources import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<day>\S+))?$", re.MULTILINE)
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_an_editable_installation_has_the_version_of_pyproject() -> None:
    assert coremachine.__version__ == VERSION, "the version has changed since the installation; run `make test`"


def test_where_nothing_is_installed_the_version_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_installed)

    with pytest.raises(AttributeError, match="coremachine is not installed, so its version is unknown"):
        _ = coremachine.__version__


def test_the_changelog_begins_with_what_is_unreleased_and_then_has_this_version() -> None:
    headings = HEADING.findall(CHANGELOG)

    assert [name for name, _ in headings[:2]] == ["Unreleased", VERSION]
    assert headings[0] == ("Unreleased", "")


def test_the_versions_of_the_changelog_fall_and_have_a_day() -> None:
    released = HEADING.findall(CHANGELOG)[1:]
    numbers = [tuple(map(int, name.split("."))) for name, _ in released]
    days = [date.fromisoformat(day) for _, day in released]

    assert numbers == sorted(set(numbers), reverse=True)
    assert days == sorted(days, reverse=True)


def test_a_version_has_each_kind_of_change_once_and_in_order() -> None:
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for part in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        found = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert found == [kind for kind in kinds if kind in found], part.partition("\n")[0]
