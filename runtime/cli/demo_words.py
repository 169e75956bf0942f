"""What the demo says at its end: where the picture is, what it shows, and what can be done next."""

from pathlib import Path
from typing import Any

from ..store.session import Row
from .options import Where
from .terminal import us

SHORT = 12


def found_words(*, fail: bool) -> str:
    """What is said of a job that had ended before this demo began."""
    how = "failed" if fail else "is done"
    return (
        f"This job {how} already, and was not run again: the same type, parameters and key are the same job.\n"
        f"{_anew(fail=fail)}"
    )


def ended_words(job: Row, where: Where, *, fail: bool) -> str:
    """What is said below the timeline of a job that has ended."""
    if job["status"] == "completed":
        return _success(job["result"])
    return _failure(job, where, fail=fail)


def _success(result: dict[str, Any]) -> str:
    facts = result["statistics"]
    png = Path(result["png"])
    missing = "" if png.exists() else "  (it is no longer there: run the demo anew to have it again)"
    return (
        f"\nPicture:    {png}{missing}\n"
        f"Raster:     {result['rows']} × {result['columns']} cells\n"
        f"Elevation:  min {facts['minimum_metres']:.1f} m, max {facts['maximum_metres']:.1f} m,"
        f" mean {facts['mean_metres']:.1f} m\n"
        f"Cell size:  {facts['cell_width_degrees']:.6f}° × {facts['cell_height_degrees']:.6f}°"
        f" ({facts['cell_width_metres']:.1f} m × {facts['cell_height_metres']:.1f} m)"
    )


def _failure(job: Row, where: Where, *, fail: bool) -> str:
    short = job["job_id"][:SHORT]
    again = " --fail --key again" if fail else " --key again"
    error: dict[str, Any] = job["error"] or {}
    message = f"{error['type']}: {error['message']}" if error else "no reason was recorded"
    planned = (
        "\nOne window was moved beyond the raster on purpose. The task was tried again, failed for good, and ended its"
        "\nstage and its job; tasks that had not started were cancelled. Nothing was lost without a word.\n"
    )
    resumed = (
        "go on where it stopped, once the cause is mended (here it is not: it would fail again)"
        if fail
        else "go on where it stopped, once the cause is mended"
    )
    return (
        f"{planned if fail else ''}\nWhat failed:  {message}\n\nWhat to do next:\n"
        f"  {where.command(f'coremachine timeline {short} --all')}\n"
        f"      see every event: retries, errors, cancelled tasks\n"
        f"  {where.command(f'coremachine resume {short}')}\n      {resumed}\n"
        f"  {where.command(f'coremachine demo{again}')}\n      run the same work anew, as another job"
    )


def _anew(*, fail: bool) -> str:
    flags = "--fail --key again" if fail else "--key again"
    return f'To run it anew, give a key:  make demo ARGS="{flags}"  or  {us()} demo {flags}'
