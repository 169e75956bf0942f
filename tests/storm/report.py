"""The report of a storm, as a page."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from coremachine.runtime.soak.report import details, machine
from tests.storm.storm import Storm

SENT_BACK = ("task_retry_scheduled", "task_rescued", "task_released", "task_cancelled", "task_failed")


def markdown(storm: Storm) -> str:
    """The report; its last line is the number of violations."""
    figures = storm.figures
    parts = (_head(storm), _table(storm), _faults(storm), details(figures))
    return "\n".join([*(line for part in parts for line in part), f"{len(figures.violations)} violations"])


def _head(storm: Storm) -> Iterator[str]:
    settings = storm.options.settings
    yield "# Storm\n"
    yield f"- machine: {_words(machine())}"
    yield f"- postgresql: {storm.postgres}"
    yield f"- settings: {_words({name: getattr(settings, name) for name in ('lease', 'reconcile', 'poll', 'grace')})}"
    yield f"- options: {_words({name: value for name, value in asdict(storm.options).items() if name != 'keep'})}"
    yield ""


def _table(storm: Storm) -> Iterator[str]:
    figures = storm.figures
    events = figures.events
    ends = ", ".join(f"{number} {end}" for end, number in sorted(figures.ends.items()))
    rows = {
        "minutes": f"{storm.seconds / 60:.1f}",
        "faults": str(figures.faults.total()),
        "jobs submitted": str(figures.submitted),
        "jobs checked, by end": f"{figures.ends.total()} ({ends})",
        "tasks; runs of their handlers": f"{figures.tasks}; {figures.starts}",
        "repeated runs of attempts": str(figures.repeated),
        "effects written after their stage had closed": str(figures.late),
        "stale results rejected": str(events["stale_result_rejected"]),
        "tasks rescued": str(events["task_rescued"]),
        "sent back": ", ".join(f"{events[one]} {one}" for one in SENT_BACK if events[one]) or "none",
        "gaps found and closed": str(events["gap_found"]),
        "audits; jobs retired": f"{figures.audits}; {figures.retired}",
        "workers that could not reach the database at their start": str(figures.failed_starts),
        "errors logged by workers": str(figures.worker_errors),
    }
    rows |= {f"longest time {what}": f"{longest:.1f} s" for what, longest in figures.longest.items()}
    yield "| what | how much |"
    yield "|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows.items())
    yield ""


def _faults(storm: Storm) -> Iterator[str]:
    yield "| fault | how often | mean interval |"
    yield "|---|---|---|"
    for kind in storm.options.kinds:
        yield f"| {kind} | {storm.figures.faults[kind]} | {storm.options.mean(kind):g} s |"
    workers, connections = storm.options.pause, storm.options.connection_pause
    yield f"\nA stopped worker was paused for {workers:g} s, a connection for {connections:g} s.\n"


def _words(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
