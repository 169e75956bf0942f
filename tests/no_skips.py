"""Where CI is set, a skipped test is a failed one: there, everything a test needs is installed."""

import os
from collections.abc import Generator

import pytest

SET = os.environ.get("CI", "").lower() not in {"", "0", "false"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped; an expected failure (xfail) is none."""
    report = yield
    if SET and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = _told(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skipped itself as it was imported."""
    report = yield
    if SET and report.skipped:
        report.outcome = "failed"
        report.longrepr = _told(report)
    return report


def _told(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return f"{report.nodeid} did not run, and CI takes that for a failure. {reason}"
