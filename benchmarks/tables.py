"""The results as tables."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Runs = Mapping[str, Sequence[Mapping[str, Any]]]
OURS = "coremachine"


def header(report: Mapping[str, Any]) -> str:
    """The machine, the versions and the settings."""
    environment = dict(report["where"])
    settings = environment.pop("settings")
    peers = [f"{name} {peer['version']} ({peer['settings']})" for name, peer in report["peers"].items()]
    kill = [f"{name} {report[name]}" for name in ("pause", "limit", "restart") if name in report]
    head = [report["benchmark"], f"{report['tasks']} tasks", f"{report['workers']} workers", *kill, report["began"]]
    lines = [
        ", ".join(head),
        ", ".join(f"{name} {value}" for name, value in environment.items()),
        ", ".join(f"{name} {value}" for name, value in settings.items()),
        *peers,
    ]
    return "\n".join(lines) + "\n\n"


def throughput(report: Mapping[str, Any], found: Runs) -> str:
    """Medians with their spread, and CoreMachine compared with each, run by run."""
    heads = ["system", "tasks/s, median (spread)", "CoreMachine beside it", "rows a task", "WAL, B a task"]
    rows = [
        [
            name,
            spread(runs, "tasks_per_second", 0),
            beside(found, name),
            number(runs, "rows_per_task"),
            number(runs, "wal_bytes_per_task"),
        ]
        for name, runs in sorted(found.items(), key=lambda one: -median_of(one[1]))
    ]
    if report["benchmark"] == "peers flat":
        return table(heads, rows)
    return table([*heads, "written by hand"], [[*row, report["peers"][row[0]]["by_hand"]] for row in rows])


def latency(report: Mapping[str, Any], found: Runs) -> str:
    """Medians of the runs, with their spread, the fastest first."""
    heads = ["system", "p50, ms (spread)", "p99, ms (spread)", "settings"]
    rows = [
        [name, spread(runs, "p50_ms", 1), spread(runs, "p99_ms", 1), report["peers"][name]["settings"]]
        for name, runs in sorted(found.items(), key=lambda one: median_latency(one[1]))
    ]
    return table(heads, rows)


def spread(runs: Sequence[Mapping[str, Any]], what: str, digits: int) -> str:
    """The median and the spread, and the number of failed runs."""
    known = [run[what] for run in runs if "failed" not in run]
    failed = f"; {len(runs) - len(known)} failed" if len(runs) > len(known) else ""
    if not known:
        return "failed"
    return f"{median(known):.{digits}f} ({min(known):.{digits}f}–{max(known):.{digits}f}){failed}"


def median_of(runs: Sequence[Mapping[str, Any]], what: str = "tasks_per_second", *, failed: float = 0.0) -> float:
    """The median, for sorting and for plots; `failed` if no run succeeded."""
    return median([run[what] for run in runs if "failed" not in run] or [failed])


def median_latency(runs: Sequence[Mapping[str, Any]]) -> float:
    """The median of the runs' medians, for sorting and for plots; infinite if no run succeeded."""
    return median_of(runs, "p50_ms", failed=float("inf"))


def beside(found: Runs, name: str) -> str:
    """How many times as fast CoreMachine was, run by run."""
    if name == OURS or OURS not in found:
        return ""
    times = [
        ours["tasks_per_second"] / theirs["tasks_per_second"]
        for ours, theirs in zip(found[OURS], found[name], strict=True)
        if "failed" not in ours and "failed" not in theirs
    ]
    return f"{median(times):.2f} × ({min(times):.2f}–{max(times):.2f})" if times else ""


def number(runs: Sequence[Mapping[str, Any]], what: str) -> str:
    """The median of a value that may be unknown."""
    known = [run[what] for run in runs if run.get(what) is not None]
    return f"{median(known):.1f}" if known else "–"


def killed(report: Mapping[str, Any], found: Runs) -> str:
    """What happened to the jobs: a line for each peer and each of the two workers that was killed."""
    heads = (
        "system",
        "killed",
        "ended",
        "s after the kill",
        "done by the killed",
        "missing at the end",
        "begun again",
        "done again",
        "fan-ins",
        "what returns tasks",
    )
    rows = [
        (name, victim, *outcome(mine), report["peers"][name]["returns"])
        for name, runs in found.items()
        for victim in ("planner", "other")
        if (mine := [run for run in runs if run.get("victim") == victim])
    ]
    failed = [f"{name} failed: {run['failed']}\n" for name, runs in found.items() for run in runs if "failed" in run]
    return table(heads, rows) + "".join(failed)


def outcome(runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """How many jobs ended and when, and the range of the other counts."""
    after = [run["seconds_after_kill"] for run in runs if run["seconds_after_kill"] is not None]
    counts = ("done_by_victim", "missing", "begun_again", "done_again", "fan_ins")
    spread = [sorted({run[what] for run in runs}) for what in counts]
    return (
        f"{len(after)} of {len(runs)}",
        f"{median(after):.1f} ({min(after):.1f}–{max(after):.1f})" if after else "–",
        *(str(values[0]) if len(values) == 1 else f"{values[0]}–{values[-1]}" for values in spread),
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
