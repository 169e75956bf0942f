"""A job message that comes alone is handled in the transaction that claims it, unless user code has to run first."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from coremachine import AsyncCoreMachine, Job, Stage, task
from coremachine.runtime.flow import handle_job
from coremachine.runtime.worker import job_messages
from tests.databases import OpenApp
from tests.observing import events_of, rows
from tests.running import finished, work

CLAIMS = """
CREATE TABLE public.claims (job_id TEXT, lease_number INT, transaction_id XID8 DEFAULT pg_current_xact_id());
CREATE FUNCTION public.note_claim() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO public.claims (job_id, lease_number) VALUES (NEW.job_id, NEW.lease_number); RETURN NULL; END $$;
CREATE TRIGGER z_note_claim AFTER UPDATE ON app.jobs FOR EACH ROW WHEN (NEW.lease_number > OLD.lease_number)
  EXECUTE FUNCTION public.note_claim()"""
DEEDS = ("stage_started", "job_completed")


@task
def give(value: Any) -> Any:
    return value


@task
def collect(values: list[Any]) -> list[Any]:
    return values


def both(value: Any) -> list[Any]:
    return [value, value]


def sealed(output: Any) -> Any:
    return output


LONE = Job("lone", [Stage("give", give)])
FANNED = Job("fanned", [Stage("give", give, each="value"), Stage("collect", collect, gather="give")])
COMPUTED = Job("computed", [Stage("give", give, each=both)])
SEALED = Job("sealed", [Stage("give", give)], finalize=sealed)


async def claims_and_deeds(app: AsyncCoreMachine, job_id: str) -> list[tuple[str, bool]]:
    """What the job's messages led to, in order, and whether that was in the transaction of the message's claim."""
    claimed = await rows(app, "SELECT * FROM public.claims WHERE job_id = %s ORDER BY lease_number", job_id)
    done = await events_of(app, job_id, *DEEDS)
    assert len(claimed) == len(done)
    return [
        (f"{deed['event_type']} {deed['stage'] or ''}".strip(), deed["transaction_id"] == claim["transaction_id"])
        for claim, deed in zip(claimed, done, strict=True)
    ]


@pytest.mark.parametrize(
    ("job", "value", "result", "expected"),
    [
        (LONE, 7, 7, [("stage_started 1", True), ("job_completed", True)]),
        (FANNED, [1, 2], [1, 2], [("stage_started 1", False), ("stage_started 2", True), ("job_completed", True)]),
        (COMPUTED, 3, {"results": 2}, [("stage_started 1", False), ("job_completed", True)]),
        (SEALED, 7, 7, [("stage_started 1", True), ("job_completed", False)]),
    ],
    ids=lambda one: one.name if isinstance(one, Job) else "",
)
async def test_what_needs_none_of_the_users_code_is_done_where_its_message_is_claimed(
    open_app: OpenApp, job: Job, value: Any, result: Any, expected: Sequence[tuple[str, bool]]
) -> None:
    app = await open_app(job)
    await rows(app, CLAIMS)
    done = await finished(app, job, value=value)
    assert (done["status"], done["result"]) == ("completed", result)
    assert await claims_and_deeds(app, done["job_id"]) == expected


async def test_messages_that_come_together_are_claimed_before_any_is_handled(open_app: OpenApp) -> None:
    app = await open_app(LONE)
    await rows(app, CLAIMS)
    ids = [(await app.submit(LONE, value=value)).id for value in range(3)]
    await work(app)
    for job_id in ids:
        (opened, together), *_ = await claims_and_deeds(app, job_id)
        assert (opened, together) == ("stage_started 1", False)


async def test_what_fails_where_it_is_claimed_leaves_nothing_and_is_handled_apart(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handle, failed = handle_job.handle_in_claim, list[str]()

    async def fail_at_last(*given: Any) -> None:
        assert await handle(*given) is not None
        failed.append(given[3]["job_id"])
        raise psycopg.errors.CheckViolation("refused for the test")

    monkeypatch.setattr(job_messages, "handle_in_claim", fail_at_last)
    app = await open_app(LONE)
    await rows(app, CLAIMS)
    done = await finished(app, LONE, value=7)
    assert (done["status"], done["result"]) == ("completed", 7)
    assert failed == [done["job_id"]] * 2
    assert await claims_and_deeds(app, done["job_id"]) == [("stage_started 1", False), ("job_completed", False)]
    assert len(await events_of(app, done["job_id"], "task_started")) == 1
    warned = [one.message for one in caplog.records if "could not be handled where it was claimed" in one.message]
    assert len(warned) == 2
