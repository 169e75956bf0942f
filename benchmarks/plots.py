"""The plots. Matplotlib is imported where one is asked for, and nowhere else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from tables import OURS, Runs, middle, waited

mpl.use("svg")

from matplotlib import pyplot as plt

INK, PALE = "#1f4e79", "#9aa5b1"


def draw(told: Mapping[str, Any], file: Path) -> None:
    """A bar for each peer: its speed with the spread of its runs, or how long its job went on after the kill."""
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.45 * len(told["runs"])), layout="constrained")
    if told["benchmark"] == "killed":
        _fates(axes, told["runs"], told["limit"])
    elif told["benchmark"] == "peers latency":
        _waits(axes, told["runs"])
    else:
        _speeds(axes, told["runs"])
    axes.set_title(f"{told['benchmark']}, {told['tasks']} tasks, {told['workers']} workers", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def _speeds(axes: Any, found: Runs) -> None:
    names = sorted(found, key=lambda name: middle(found[name]))
    for name in names:
        speeds = [run["tasks_per_second"] for run in found[name] if "failed" not in run]
        axes.barh(name, middle(found[name]), color=INK if name == OURS else PALE)
        axes.plot(speeds, [name] * len(speeds), "|", color="black", markersize=9)
    axes.set_xlabel("tasks a second: median, and each run")


def _waits(axes: Any, found: Runs) -> None:
    for name in sorted(found, key=lambda name: waited(found[name]), reverse=True):
        for what, mark in (("p50_ms", "|"), ("p99_ms", ">")):
            waits = [run[what] for run in found[name] if "failed" not in run]
            axes.plot(waits, [name] * len(waits), mark, color=INK if name == OURS else "black", markersize=9)
    axes.set(xscale="log", xlabel="milliseconds from the submission to the handler, each run: | median, > 99 of 100")
    for ticks in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        ticks("{x:g}")


def _fates(axes: Any, found: Runs, limit: float) -> None:
    for name in reversed(found):
        after = [run["seconds_after_kill"] or limit for run in found[name] if "failed" not in run]
        ended = all(run.get("seconds_after_kill") is not None for run in found[name])
        axes.barh(name, max(after, default=0), color=INK if name == OURS else PALE, hatch="" if ended else "//")
        axes.plot(after, [name] * len(after), "|", color="black", markersize=9)
    axes.axvline(limit, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("seconds from the kill to the end of the job: longest, and each run; hatched where one did not end")


def draw_growth(told: Mapping[str, Any], file: Path) -> None:
    """What a task costs by the size of its stage, and after what has made the tables grow."""
    figure, (sizes, after) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    stages = {int(n): cost["processor us/task"] for n, cost in told["stage of N tasks"].items()}
    sizes.plot(list(stages), list(stages.values()), "o-", color=INK)
    sizes.set(xscale="log", ylim=(0, None), xlabel="tasks in a stage", ylabel="µs of processor a task")
    states = {
        "first": told["churn"]["first"],
        "after churn": told["churn"]["last"],
        "old snapshot": told["an old snapshot held open"],
        "let go": told["no old snapshot"],
        f"{told['history, events']} events": told["after history"],
    }
    after.bar(list(states), [cost["processor us/task"] for cost in states.values()], color=PALE)
    after.tick_params(axis="x", labelrotation=20)
    for axes in (sizes, after):
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    """Without a date, so that the same figures draw the same file."""
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
