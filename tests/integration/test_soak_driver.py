"""The driver of the soak, with a worker that nobody kills: it checks every job, and finds manual damage."""

import math
from pathlib import Path
from random import Random

from coremachine import AsyncCoreMachine
from coremachine.runtime.soak.driver import Driver
from coremachine.runtime.soak.figures import Figures
from coremachine.runtime.soak.housekeeping import ANYTIME_CHECKS
from coremachine.runtime.soak.jobs import JOBS
from tests.databases import OpenApp
from tests.observing import rows
from tests.running import working
from tests.waiting import until

JOBS_RUN = 6
LONG = 60.0


async def ended(app: AsyncCoreMachine, folder: Path, seed: int = 3) -> tuple[Driver, Figures]:
    """A driver whose jobs have all ended, and that has checked none of them."""
    figures = Figures()
    driver = Driver(app, folder, figures, Random(seed), quiet=math.inf)  # noqa: S311 - no secret

    async def none_is_open() -> bool:
        await driver.step(0)
        states = await driver.states()
        return all(settled is not None for _, settled in states.values()) and not driver.open_jobs

    async with working(app):
        await driver.step(JOBS_RUN)
        await until(none_is_open, "every job has ended", LONG)
    driver.quiet = -1.0
    return driver, figures


def files_in(folder: Path) -> list[Path]:
    """The files that the handlers have written."""
    return list(folder.glob("*.lines"))


async def test_every_job_is_checked_audited_and_retired(open_app: OpenApp, tmp_path: Path) -> None:
    app = await open_app(*JOBS, lease=5.0)
    driver, figures = await ended(app, tmp_path)
    assert len(files_in(tmp_path)) == JOBS_RUN
    await driver.step(0)
    assert (figures.ends.total(), figures.violations) == (JOBS_RUN, [])
    await driver.retire()
    assert (figures.retired, driver.jobs, figures.violations) == (JOBS_RUN, {}, [])
    assert await rows(app, "SELECT FROM app.jobs") == []
    assert files_in(tmp_path) == []


async def test_a_job_that_was_not_checked_is_not_retired(open_app: OpenApp, tmp_path: Path) -> None:
    app = await open_app(*JOBS, lease=5.0)
    driver, figures = await ended(app, tmp_path)
    await driver.retire()
    assert figures.retired == 0
    assert len(await rows(app, "SELECT FROM app.jobs")) == JOBS_RUN


DAMAGES = {
    "the result is": "UPDATE app.jobs SET result = '{\"total\": -1}' WHERE status = 'completed'",
    "but was claimed as": "UPDATE app.tasks SET lease_number = lease_number + 1",
    "with 0 task_completed": "DELETE FROM app.job_events WHERE event_type = 'task_completed'",
    "queued 0 times": "DELETE FROM app.job_events WHERE event_type = 'job_queued'",
}


async def test_manual_damage_is_a_violation(open_app: OpenApp, tmp_path: Path) -> None:
    app = await open_app(*JOBS, lease=5.0)
    driver, figures = await ended(app, tmp_path)
    async with await app.database.connection("vandal") as vandal:
        await vandal.execute("SET session_replication_role = replica")
        for damage in DAMAGES.values():
            await vandal.execute(damage.encode())
    await driver.step(0)
    for text in DAMAGES:
        assert [one for one in figures.violations if text in one.what], text
    assert figures.violations[0].log
    before = len(figures.violations)
    await driver.retire()
    assert {one.what.split()[1] for one in figures.violations[before:]} & set(ANYTIME_CHECKS)
