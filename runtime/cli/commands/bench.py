"""`coremachine bench`: what a task costs on this machine, with every guarantee on."""

import asyncio
from typing import Annotated, cast

import typer

from ...bench.latency import latency as measure_latency
from ...bench.overhead import overhead as measure_overhead
from ...bench.throughput import Shape
from ...bench.throughput import throughput as measure_throughput
from ..options import AsJson, DatabaseOptions, DataDir, Url, checked_settings
from ..terminal import show_json

bench = typer.Typer(no_args_is_help=True, help="What a task costs on this machine.")
Tasks = Annotated[int, typer.Option("--tasks", min=1, help="Tasks in one run.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")]
Runs = Annotated[int, typer.Option("--runs", min=1, help="Number of runs; the result is their median.")]


@bench.callback()
def _group() -> None:
    """Keep the commands in a group. Each creates a schema for itself and drops it."""


@bench.command()
def throughput(  # noqa: PLR0913 - one parameter for each option
    *,
    tasks: Tasks = 10_000,
    workers: Workers = 2,
    runs: Runs = 3,
    flat: Annotated[bool, typer.Option("--flat", help="A flat queue instead of a job of 1 → N → 1.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Measure tasks per second, and compare with an upper bound: the same rows moved by bare statements."""
    settings = checked_settings(DatabaseOptions(url, None, data_dir).settings())
    shape: Shape = "flat" if flat else "fan"
    _show(
        asyncio.run(measure_throughput(settings, tasks=tasks, processes=workers, runs=runs, shape=shape)),
        as_json=as_json,
    )


@bench.command()
def latency(
    *,
    samples: Annotated[int, typer.Option("--samples", min=2, help="Jobs to submit, one after another.")] = 200,
    workers: Workers = 1,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Measure the time from submission to the start of the handler, on an idle system."""
    settings = checked_settings(DatabaseOptions(url, None, data_dir).settings())
    _show(asyncio.run(measure_latency(settings, samples=samples, processes=workers)), as_json=as_json)


@bench.command()
def overhead(
    *,
    tasks: Tasks = 10_000,
    runs: Runs = 5,
    as_json: AsJson = False,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Measure what the rules cost: guards, the state ⇔ event rule, the events, and the machine in Python."""
    settings = checked_settings(DatabaseOptions(url, None, data_dir).settings())
    _show(asyncio.run(measure_overhead(settings, tasks=tasks, runs=runs)), as_json=as_json)


bench.command("rule", hidden=True, deprecated=True)(overhead)


def _show(report: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        show_json(report)
        return
    for name, value in report.items():
        if name == "runs":
            continue
        typer.echo(f"{name.replace('_', ' ')}" + (f"  {value}" if not isinstance(value, dict) else ""))
        if isinstance(value, dict):
            for part, inner in cast("dict[str, object]", value).items():
                typer.echo(f"  {part.replace('_', ' ')}  {inner}")
