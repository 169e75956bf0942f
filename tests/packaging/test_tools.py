"""The tools of a developer: which versions `make` installs, and what runs before a commit and a push."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

from tests.packaging.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text()
TOOL = re.compile(r"(?:\$\(BIN\)|\.venv/bin)/(?P<tool>ruff \w+|[\w-]+)")


def required() -> list[Requirement]:
    """What pyproject.toml asks for, extras included."""
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    return [Requirement(text) for texts in (PROJECT["dependencies"], *extras.values()) for text in texts]


def locked() -> Iterator[Requirement]:
    """What the lock says: one exact version of a distribution, for all environments or for some."""
    for line in (ROOT / ".ci/dev.lock").read_text().splitlines():
        text = re.sub(r"(^|\s)#.*", "", line)
        if text:
            yield Requirement(text)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_has_versions_that_pyproject_allows() -> None:
    pinned: dict[str, list[str]] = {}
    for one in locked():
        pinned.setdefault(canonical(one.name), []).append(str(one.specifier).removeprefix("=="))
    wrong = [
        str(asked)
        for asked in required()
        if not pinned.get(canonical(asked.name))
        or not all(map(asked.specifier.contains, pinned[canonical(asked.name)]))
    ]

    assert not wrong, f"run `make lock`: .ci/dev.lock does not have {wrong}"


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def test_what_is_installed_here_is_what_the_lock_says() -> None:
    named = {canonical(asked.name) for asked in required()}
    here = [one for one in locked() if canonical(one.name) in named and (not one.marker or one.marker.evaluate())]
    other = [f"{one} (here {installed(one.name)})" for one in here if str(one.specifier) != f"=={installed(one.name)}"]

    assert here
    assert not other, f"run `make test`, which installs what the lock says: {other}"


def test_every_installation_by_make_keeps_to_the_lock() -> None:
    (how,) = re.findall(r"^INSTALL = (.+)$", MAKEFILE, re.MULTILINE)
    recipes = re.findall(r"^\.venv/(\w+)\.stamp: .*\$\(LOCK\).*\n(?:\t.*\n)*\t@\$\(INSTALL\) ", MAKEFILE, re.MULTILINE)

    assert "--constraint $(LOCK)" in how
    assert recipes == ["demo", "dev"]


def test_the_hooks_are_the_commands_of_make_lint_and_fetch_nothing() -> None:
    (parts,) = re.findall(r"^lint:\n\t@\$\(MAKE\) .* --jobs \d+ (.+)$", MAKEFILE, re.MULTILINE)
    recipes = dict(re.findall(r"^(lint-\w+):\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE))

    assert recipes.keys() == set(parts.split())
    assert set(TOOL.findall(HOOKS)) == set(TOOL.findall("".join(recipes.values())))
    assert set(re.findall(r"repo: (\S+)", HOOKS)) == {"local"}
    assert set(re.findall(r"language: (\S+)", HOOKS)) == {"system"}
