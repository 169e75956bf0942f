"""The plots. This module, and with it matplotlib, is imported only if a plot is requested."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from tables import OURS, Runs, median_latency, median_of

mpl.use("svg")

from matplotlib import pyplot as plt

INK, PALE = "#1f4e79", "#9aa5b1"


def draw(report: Mapping[str, Any], file: Path) -> None:
    """A bar for each peer: its speed with the spread of its runs, or how long its job took after the kill."""
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.45 * len(report["runs"])), layout="constrained")
    if report["benchmark"] == "killed":
        _after_kill(axes, report["runs"], report["limit"])
    elif report["benchmark"] == "peers latency":
        _latencies(axes, report["runs"])
    else:
        _speeds(axes, report["runs"])
    axes.set_title(f"{report['benchmark']}, {report['tasks']} tasks, {report['workers']} workers", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def _speeds(axes: Any, found: Runs) -> None:
    names = sorted(found, key=lambda name: median_of(found[name]))
    for name in names:
        speeds = [run["tasks_per_second"] for run in found[name] if "failed" not in run]
        axes.barh(name, median_of(found[name]), color=INK if name == OURS else PALE)
        axes.plot(speeds, [name] * len(speeds), "|", color="black", markersize=9)
    axes.set_xlabel("tasks a second: median, and each run")


def _latencies(axes: Any, found: Runs) -> None:
    for name in sorted(found, key=lambda name: median_latency(found[name]), reverse=True):
        for what, mark in (("p50_ms", "|"), ("p99_ms", ">")):
            latencies = [run[what] for run in found[name] if "failed" not in run]
            axes.plot(latencies, [name] * len(latencies), mark, color=INK if name == OURS else "black", markersize=9)
    axes.set(xscale="log", xlabel="milliseconds from the submission to the handler, each run: | median, > 99 of 100")
    for ticks in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        ticks("{x:g}")


def _after_kill(axes: Any, found: Runs, limit: float) -> None:
    for name in reversed(found):
        after = [run["seconds_after_kill"] or limit for run in found[name] if "failed" not in run]
        ended = all(run.get("seconds_after_kill") is not None for run in found[name])
        axes.barh(name, max(after, default=0), color=INK if name == OURS else PALE, hatch="" if ended else "//")
        axes.plot(after, [name] * len(after), "|", color="black", markersize=9)
    axes.axvline(limit, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("seconds from the kill to the end of the job: longest, and each run; hatched if one did not end")


def draw_growth(report: Mapping[str, Any], file: Path) -> None:
    """What a task costs by the size of its stage, and after the tables have grown."""
    figure, (sizes, after) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    stages = {int(n): cost["processor us/task"] for n, cost in report["stage of N tasks"].items()}
    sizes.plot(list(stages), list(stages.values()), "o-", color=INK)
    sizes.set(xscale="log", ylim=(0, None), xlabel="tasks in a stage", ylabel="µs of processor a task")
    states = {
        "first": report["churn"]["first"],
        "after churn": report["churn"]["last"],
        "old snapshot": report["an old snapshot held open"],
        "released": report["no old snapshot"],
        f"{report['history, events']} events": report["after history"],
    }
    after.bar(list(states), [cost["processor us/task"] for cost in states.values()], color=PALE)
    after.tick_params(axis="x", labelrotation=20)
    for axes in (sizes, after):
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    """Save without a date, so that the same data gives the same file."""
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
