"""A command that waits for a lock says so on standard error while it waits, and gives up with the same reason."""

import time

import pytest

from coremachine.runtime.store.database import PATIENCE_SECONDS
from tests.acceptance.commands import line_with, started
from tests.acceptance.declared_jobs import sums
from tests.databases import OpenApp

SAYS_WITHIN = 3.0
STARTS_WITHIN = 10.0  # seconds that Python may need on a busy machine, beside the command's own time
HELD = {
    "cancel": "SELECT FROM app.jobs WHERE job_id = %(job)s FOR UPDATE",
    "db install": "SELECT pg_advisory_xact_lock(1668248165)",
}


@pytest.mark.parametrize("command", HELD)
async def test_a_command_that_waits_says_for_whom_and_gives_up(url: str, open_app: OpenApp, command: str) -> None:
    app = await open_app(sums)
    job = await app.submit(sums, first=1)
    arguments = [*command.split(), *([] if command == "db install" else [job.id])]
    async with await app.database.connection("holder") as holder, holder.transaction():
        named = {"job": job.id} if "%(job)s" in HELD[command] else None
        await holder.execute(HELD[command].encode(), named)
        began = time.monotonic()
        with started(*arguments, url=url) as process:
            said = line_with(process.stderr, "waiting for a lock")
            said_after = time.monotonic() - began
            error = line_with(process.stderr, "error: ")
            assert process.wait(timeout=60) == 1
        gave_up_after = time.monotonic() - began
        assert f"process {holder.info.backend_pid} (user " in said
        assert f"process {holder.info.backend_pid} (user " in error
        assert "nothing was changed" in error
    assert said_after < SAYS_WITHIN + STARTS_WITHIN
    assert gave_up_after < PATIENCE_SECONDS + SAYS_WITHIN + STARTS_WITHIN
    assert (await app.job(job.id))["status"] == "queued"
