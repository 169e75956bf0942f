"""What the soak prints while it runs, and at its end."""

import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from .figures import Figures, Violation
from .options import Options

TAKEN_BACK = ("task_retry_scheduled", "task_rescued", "task_released", "task_resumed", "task_cancelled", "task_failed")
CALLBACKS = ("callback_executed", "callback_retry_scheduled", "callback_rescued", "callback_released")
OTHERS = ("stale_result_rejected", "gap_found", "finalizer_failed", "stage_empty", "job_resumed")


def progress_line(seconds: float, open_jobs: int, oldest: float, figures: Figures) -> str:
    """One line on the progress so far."""
    return (
        f"{seconds / 60:5.1f} min  {sum(figures.kills.values())} kills  {sum(figures.restarts.values())} restarts"
        f"  {figures.submitted} jobs submitted, {sum(figures.ends.values())} checked, {open_jobs} open,"
        f" the oldest {oldest:.0f} s  {len(figures.violations)} violations"
    )


def report_data(options: Options, figures: Figures, seconds: float, postgres: str, size: int) -> dict[str, object]:
    """The report as JSON values."""
    return {
        "machine": machine(),
        "postgresql": postgres,
        "settings": {name: getattr(options.settings, name) for name in ("lease", "reconcile", "poll", "grace")},
        "options": {
            name: value for name, value in asdict(options).items() if name not in {"keep", "lease", "reconcile"}
        },
        "seconds": round(seconds, 1),
        "kills": dict(figures.kills),
        "restarts": dict(figures.restarts),
        "jobs_submitted": figures.submitted,
        "jobs_by_end": dict(figures.ends),
        "tasks": figures.tasks,
        "runs_of_handlers": figures.starts,
        "events": dict(sorted(figures.events.items())),
        "audits": figures.audits,
        "jobs_retired": figures.retired,
        "workers_not_started": figures.failed_starts,
        "errors_logged_by_workers": figures.worker_errors,
        "longest_s": {what: round(longest, 2) for what, longest in figures.longest.items()},
        "database_bytes": size,
        "violations": [asdict(violation) for violation in figures.violations],
    }


def machine() -> dict[str, object]:
    """The machine, without its name or address."""
    try:
        installed = version("coremachine")
    except PackageNotFoundError:  # run from its folder
        installed = "not installed"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count() or 0,
        "python": platform.python_version(),
        "coremachine": installed,
    }


def markdown(data: Mapping[str, object], figures: Figures) -> str:
    """The report as a Markdown page; its last line is the number of violations."""
    return "\n".join([*_head(data), *_table(data, figures), *details(figures), last_line(figures)])


def last_line(figures: Figures) -> str:
    """The number of violations."""
    return f"{len(figures.violations)} violations"


def _head(data: Mapping[str, object]) -> Iterator[str]:
    yield "# Soak\n"
    for name in ("machine", "postgresql", "settings", "options"):
        yield f"- {name}: {_words(data[name])}"
    yield ""


def _table(data: Mapping[str, object], figures: Figures) -> Iterator[str]:
    rows = {
        "minutes": f"{float(str(data['seconds'])) / 60:.1f}",
        "kills of workers": _counted(figures.kills),
        "restarts of PostgreSQL": _counted(figures.restarts),
        "jobs submitted": str(figures.submitted),
        "jobs checked, by end": _counted(figures.ends),
        "tasks; runs of their handlers": f"{figures.tasks}; {figures.starts}",
        "sent back": _events(figures, TAKEN_BACK),
        "callbacks": _events(figures, CALLBACKS),
        "other events": _events(figures, OTHERS),
        "audits; jobs retired": f"{figures.audits}; {figures.retired}",
        "workers that could not reach the database at their start": str(figures.failed_starts),
        "errors logged by workers": str(figures.worker_errors),
        "size of the database at the end": f"{int(str(data['database_bytes'])) / 1e6:.0f} MB",
    }
    rows |= {f"longest time {what}": f"{longest:.1f} s" for what, longest in figures.longest.items()}
    yield "| what | how much |"
    yield "|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows.items())
    yield ""


def details(figures: Figures) -> Iterator[str]:
    """The errors that workers logged, and the violations with the logs of their jobs."""
    if figures.errors_logged:
        yield "## Last errors logged by workers\n"
        yield from (f"    {line}" for line in dict.fromkeys(figures.errors_logged))
        yield ""
    if figures.violations:
        yield "## Violations\n"
        for violation in figures.violations:
            yield from _violation(violation)


def _violation(violation: Violation) -> Iterator[str]:
    yield f"- {f'job {violation.job_id}: ' if violation.job_id else ''}{violation.what}"
    if violation.log:
        yield ""
        yield from (f"      {line}" for text in violation.log for line in text.splitlines())
        yield ""


def _events(figures: Figures, types: tuple[str, ...]) -> str:
    return ", ".join(f"{figures.events[one]} {one}" for one in types if figures.events[one]) or "none"


def _counted(counter: Counter[str]) -> str:
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(counter.items()))
    return f"{counter.total()} ({kinds})" if kinds else "0"


def _words(value: object) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{name} {one}" for name, one in cast("Mapping[str, object]", value).items())
