"""What the demo prints at its end: where the picture is, what it shows, and what to do next."""

from pathlib import Path
from typing import Any

from ..job_view import JobView
from ..options import DatabaseOptions
from ..terminal import SHORT_ID, program_command


def already_ended(*, fail: bool) -> str:
    """The message for a job that had ended before this demo began."""
    how = "has already failed" if fail else "is already done"
    return (
        f"This job {how} and was not run again: the same type, parameters and key are the same job.\n"
        f"{_run_again(fail=fail)}"
    )


def ended(job: JobView, database: DatabaseOptions, *, fail: bool) -> str:
    """The message below the timeline of a job that has ended."""
    if job.state.failure:
        return _failure(job, database, fail=fail)
    return _success(job.result)


def _success(result: dict[str, Any]) -> str:
    statistics = result["statistics"]
    png = Path(result["png"])
    missing = (
        "" if png.exists() else "  (the file is no longer there: run the demo with another --key to write it again)"
    )
    return (
        f"\nPicture:    {png}{missing}\n"
        f"Raster:     {result['rows']} × {result['columns']} cells\n"
        f"Elevation:  min {statistics['minimum_metres']:.1f} m, max {statistics['maximum_metres']:.1f} m,"
        f" mean {statistics['mean_metres']:.1f} m\n"
        f"Cell size:  {statistics['cell_width_degrees']:.6f}° × {statistics['cell_height_degrees']:.6f}°"
        f" ({statistics['cell_width_metres']:.1f} m × {statistics['cell_height_metres']:.1f} m)"
    )


def _failure(job: JobView, database: DatabaseOptions, *, fail: bool) -> str:
    short = job.id[:SHORT_ID]
    again = " --fail --key again" if fail else " --key again"
    planned = (
        "\nOne window was moved outside the raster on purpose. The task was retried and then failed for good, which"
        "\nfailed its stage and the job; tasks that had not started were cancelled. Each of these steps was recorded.\n"
    )
    resume = "run what is left of the job, once the cause is fixed" + (
        " (here it is not: the job would fail again)" if fail else ""
    )
    return (
        f"{planned if fail else ''}\nWhat failed:  {job.error_text or 'no reason was recorded'}\n\nWhat to do next:\n"
        f"  {database.command(f'coremachine timeline {short} --all')}\n"
        f"      see every event: retries, errors, cancelled tasks\n"
        f"  {database.command(f'coremachine resume {short}')}\n      {resume}\n"
        f"  {database.command(f'coremachine demo{again}')}\n      run the same work again, as another job"
    )


def _run_again(*, fail: bool) -> str:
    flags = "--fail --key again" if fail else "--key again"
    return f'To run it again, give a key:  make demo ARGS="{flags}"  or  {program_command()} demo {flags}'
