"""`--sample N`: of the cases of each test every Nth, and at least one, for a run that repeats another elsewhere."""

from collections import defaultdict

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--sample", type=int, default=1, metavar="N", help="run every Nth case of each test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases that are not in the sample, which is the same in every order of the tests."""
    every: int = config.option.sample
    if every == 1:
        return
    cases = defaultdict[str, list[str]](list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item.nodeid)
    kept = {one for of_test in cases.values() for one in sorted(of_test)[::every]}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
    items[:] = [item for item in items if item.nodeid in kept]
