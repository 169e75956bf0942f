"""Damages done to a database by hand, each with the gaps of the register that the audit must find in it: mostly one."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from coremachine.runtime.store.session import Session
from coremachine.statemachine.tables import CALLBACKS, JOBS, STAGES, TASKS
from tests.integration.rows import insert_row, move, row_in, run

ALIVE = """INSERT INTO {schema}.workers (worker, seen_at, runs, failures, last_error, found)
VALUES ('w-1', app.clock(), 1, 0, 'null', '{"tasks_rescued": 0}')"""
Damage = Callable[[Session], Awaitable[object]]
DAMAGES: list[tuple[tuple[str, ...], Damage]] = []


def damage(*gaps: str) -> Callable[[Damage], Damage]:
    """Marks what the checks of these gaps, and no others, must find."""

    def mark(function: Damage) -> Damage:
        DAMAGES.append((gaps, function))
        return function

    return mark


@asynccontextmanager
async def unguarded(session: Session) -> AsyncGenerator[None]:
    """What nobody but the owner can do: statements with the guards out of the way."""
    await run(session, "SET session_replication_role = replica")
    yield
    await run(session, "SET session_replication_role = origin")


async def by_hand(session: Session, *statements: str) -> None:
    """Run statements with the guards out of the way."""
    async with unguarded(session):
        for statement in statements:
            await run(session, statement)


async def open_stage(session: Session, tasks: int = 1, stages: int = 1) -> str:
    """A job under way whose first stage is open, with that many queued tasks, as the flow would leave it."""
    job = await insert_row(session, JOBS, stage_count=stages)
    await move(session, JOBS, job, "start")
    for stage in range(1, stages + 1):
        opened = await insert_row(session, STAGES, job_id=job.key, stage=stage, name=f"stage {stage}")
        if stage == 1:
            await move(session, STAGES, opened, "open")
            for index in range(tasks):
                given = {"stage_id": int(opened.key), "task_index": index, "task_number": index + 1}
                await insert_row(session, TASKS, job_id=job.key, **given)
    return job.key


async def completed_job(session: Session, definition: str = "{}") -> str:
    """A job that has completed, as the flow would leave it."""
    return (await row_in(session, JOBS, "completed", definition=definition)).key


async def leased_task(session: Session) -> None:
    """A task that runs under a live lease."""
    await open_stage(session)
    update = "UPDATE {schema}.tasks SET status = 'processing', due_at = NULL, lease_owner = 'w-1', lease_number = 1,"
    await run(session, update + " started_at = app.clock(), lease_expires_at = app.clock() + interval '1 minute'")


@damage("GAP-8")
async def a_task_waits_too_long(session: Session) -> None:
    await open_stage(session)
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.tasks SET due_at = app.clock() - interval '1 hour'")


@damage("GAP-8")
async def a_job_message_waits_too_long(session: Session) -> None:
    job = await insert_row(session, JOBS)
    await insert_row(session, STAGES, job_id=job.key)
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.jobs SET due_at = app.clock() - interval '1 hour'")


@damage("GAP-8")
async def a_callback_waits_too_long(session: Session) -> None:
    await insert_row(session, CALLBACKS, job_id=await completed_job(session))
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.callbacks SET due_at = app.clock() - interval '1 hour'")


@damage("GAP-9")
async def a_job_has_ended_before_its_stage(session: Session) -> None:
    await open_stage(session)
    await end_over_its_stages(session)


@damage("GAP-9")
async def a_job_has_ended_and_a_stage_still_waits(session: Session) -> None:
    job = await row_in(session, JOBS, "processing")
    await insert_row(session, STAGES, job_id=job.key)
    await end_over_its_stages(session)


async def end_over_its_stages(session: Session) -> None:
    """Cancel the job, which the constraint refuses while one of its stages is open."""
    await run(session, "ALTER TABLE {schema}.jobs DROP CONSTRAINT jobs_ended_when_counted")
    await run(session, "UPDATE {schema}.jobs SET status = 'cancelled', due_at = NULL, finished_at = app.clock()")


@damage("GAP-9")
async def a_task_belongs_to_another_job_than_its_stage(session: Session) -> None:
    await open_stage(session)
    other = await open_stage(session)
    await by_hand(session, f"UPDATE {{schema}}.tasks SET job_id = '{other}'")  # noqa: S608 - an id of ours


@damage("GAP-9", "GAP-10")
async def a_task_is_queued_before_its_stage_is_open(session: Session) -> None:
    """No constraint lets the stage count it."""
    job = await insert_row(session, JOBS)
    stage = await insert_row(session, STAGES, job_id=job.key)
    async with unguarded(session):
        await insert_row(session, TASKS, job_id=job.key, stage_id=int(stage.key))


@damage("GAP-9", "GAP-10")
async def a_task_is_queued_though_its_stage_is_closed(session: Session) -> None:
    job = await row_in(session, JOBS, "processing")
    stage = await row_in(session, STAGES, "completed", job_id=job.key)
    await run(session, "UPDATE {schema}.jobs SET due_at = app.clock()")
    async with unguarded(session):
        await insert_row(session, TASKS, job_id=job.key, stage_id=int(stage.key))


@damage("GAP-9")
async def a_task_has_lost_its_stage(session: Session) -> None:
    job = await insert_row(session, JOBS)
    await insert_row(session, STAGES, job_id=job.key)
    async with unguarded(session):
        stage = await insert_row(session, STAGES, job_id=job.key, stage=2, name="lost")
        await insert_row(session, TASKS, job_id=job.key, stage_id=int(stage.key), stage=2)
        await run(session, "DELETE FROM {schema}.stages WHERE name = 'lost'")


@damage("GAP-9")
async def a_stage_has_lost_its_job(session: Session) -> None:
    await insert_row(session, STAGES)
    await by_hand(session, "DELETE FROM {schema}.job_events", "DELETE FROM {schema}.jobs")


@damage("GAP-9")
async def a_callback_belongs_to_a_job_that_goes_on(session: Session) -> None:
    job = await open_stage(session)
    async with unguarded(session):
        await insert_row(session, CALLBACKS, job_id=job)


@damage("GAP-10")
async def a_stage_counts_a_task_too_many(session: Session) -> None:
    await open_stage(session, tasks=2)
    await run(session, "UPDATE {schema}.stages SET tasks_total = tasks_total + 1, tasks_completed = 1")


@damage("GAP-10")
async def a_stage_counts_an_open_task_as_completed(session: Session) -> None:
    await open_stage(session, tasks=2)
    await run(session, "UPDATE {schema}.stages SET tasks_open = tasks_open - 1, tasks_completed = 1")


@damage("GAP-10")
async def a_job_counts_a_stage_too_many(session: Session) -> None:
    await open_stage(session, stages=2)
    await run(session, "UPDATE {schema}.jobs SET stage_count = 3")


@damage("GAP-10")
async def a_job_counts_an_open_stage_too_few(session: Session) -> None:
    await open_stage(session, stages=2)
    await run(session, "UPDATE {schema}.jobs SET stages_open = stages_open - 1")


@damage("GAP-10")
async def a_job_counts_a_completed_stage_too_many(session: Session) -> None:
    await open_stage(session, stages=2)
    await run(session, "UPDATE {schema}.jobs SET stages_open = stages_open - 1, stages_completed = 1")


@damage("GAP-10")
async def a_job_counts_a_task_too_many(session: Session) -> None:
    await open_stage(session)
    await run(session, "UPDATE {schema}.jobs SET tasks_total = tasks_total + 1")


@damage("GAP-11")
async def a_state_has_changed_without_its_event(session: Session) -> None:
    await leased_task(session)
    update = "UPDATE {schema}.tasks SET status = 'queued', due_at = app.clock(),"
    await by_hand(session, update + " lease_owner = NULL, lease_expires_at = NULL")


@damage("GAP-11")
async def an_event_has_been_deleted(session: Session) -> None:
    await leased_task(session)
    await by_hand(session, "DELETE FROM {schema}.job_events WHERE event_type = 'stage_started'")


@damage("GAP-11")
async def an_event_has_been_told_twice(session: Session) -> None:
    job = await open_stage(session)
    insert = "INSERT INTO {schema}.job_events (job_id, event_type, event_status) VALUES "
    await by_hand(session, insert + f"('{job}', 'job_started', 'success')")


@damage("GAP-11")
async def an_event_does_not_leave_the_state_before_it(session: Session) -> None:
    await leased_task(session)
    again = """INSERT INTO {schema}.job_events (job_id, stage, task_id, event_type, event_status)
SELECT job_id, stage, task_id, event_type, event_status FROM {schema}.job_events WHERE event_type = 'task_started'"""
    await by_hand(session, again, "UPDATE {schema}.tasks SET move_number = move_number + 1")


@damage("GAP-11")
async def a_history_begins_in_the_middle(session: Session) -> None:
    await completed_job(session)
    delete = "DELETE FROM {schema}.job_events WHERE event_type = 'stage_started'"
    await by_hand(session, delete, "UPDATE {schema}.stages SET move_number = move_number - 1")


@damage("GAP-11")
async def a_task_has_gone_and_left_its_events(session: Session) -> None:
    job = await open_stage(session)
    insert = "INSERT INTO {schema}.job_events (job_id, stage, task_id, event_type, event_status) VALUES "
    await by_hand(session, insert + f"('{job}', 1, '0-7', 'task_started', 'success')")


@damage("GAP-11")
async def a_move_number_counts_a_move_that_nobody_made(session: Session) -> None:
    await open_stage(session)
    await by_hand(session, "UPDATE {schema}.jobs SET move_number = move_number + 1")


@damage("GAP-12")
async def a_callback_has_been_forgotten(session: Session) -> None:
    await completed_job(session, '{"on_job_complete": true}')


@damage("GAP-13")
async def a_callback_has_failed(session: Session) -> None:
    job = await completed_job(session, '{"on_job_complete": true}')
    await row_in(session, CALLBACKS, "failed", job_id=job)


@damage("GAP-14")
async def a_lease_has_expired_and_nobody_rescues(session: Session) -> None:
    await leased_task(session)
    await run(session, "UPDATE {schema}.tasks SET lease_expires_at = app.clock() - interval '1 hour'")


@damage("GAP-14")
async def a_lease_never_ends(session: Session) -> None:
    await leased_task(session)
    await run(session, "UPDATE {schema}.tasks SET lease_expires_at = '9998-12-31'")


@damage("GAP-14")
async def an_attempt_goes_on_past_its_deadline(session: Session) -> None:
    await leased_task(session)
    await run(session, "UPDATE {schema}.tasks SET deadline_at = app.clock() - interval '1 hour'")


@damage("GAP-14")
async def a_task_goes_on_though_it_was_asked_to_stop(session: Session) -> None:
    await leased_task(session)
    await run(
        session, "UPDATE {schema}.stages SET stop_reason = 'cancel', stopped_at = app.clock() - interval '1 hour'"
    )


@damage("GAP-14")
async def the_lease_of_a_callback_has_expired(session: Session) -> None:
    await row_in(session, CALLBACKS, "processing", job_id=await completed_job(session))
    await run(session, "UPDATE {schema}.callbacks SET lease_expires_at = app.clock() - interval '1 hour'")


@damage("GAP-16")
async def another_declaration_is_installed(session: Session) -> None:
    await run(session, "UPDATE {schema}.installed SET digest = repeat('0', 64)")


@damage("GAP-16")
async def a_legal_transition_has_been_added(session: Session) -> None:
    insert = """INSERT INTO {schema}.legal_transitions (machine, trigger, source, target, event_type, event_status)
SELECT machine, 'revive', 'completed', target, event_type, event_status
FROM {schema}.legal_transitions WHERE machine = 'job' AND trigger = 'start'"""
    await run(session, insert)


@damage("GAP-16")
async def a_legal_transition_has_been_removed(session: Session) -> None:
    await run(session, "DELETE FROM {schema}.legal_transitions WHERE trigger = 'rescue'")


@damage("GAP-17")
async def a_stage_is_open_though_all_is_counted(session: Session) -> None:
    await open_stage(session, tasks=0)


@damage("GAP-18")
async def a_job_under_way_has_lost_its_message(session: Session) -> None:
    job = await row_in(session, JOBS, "processing")
    await insert_row(session, STAGES, job_id=job.key)
    await run(session, "UPDATE {schema}.jobs SET due_at = NULL")


@damage("GAP-19")
async def a_job_goes_on_though_its_stage_has_failed(session: Session) -> None:
    job = await row_in(session, JOBS, "processing")
    await run(session, "UPDATE {schema}.jobs SET due_at = app.clock()")
    await row_in(session, STAGES, "failed", job_id=job.key)


@damage("GAP-20")
async def every_reconciler_is_silent(session: Session) -> None:
    await open_stage(session)
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.workers SET seen_at = app.clock() - interval '1 hour'")


@damage("GAP-20")
async def work_waits_and_there_is_no_worker(session: Session) -> None:
    await open_stage(session)
    await run(session, "UPDATE {schema}.tasks SET due_at = app.clock() - interval '31 s'")


@damage("GAP-20")
async def work_waits_and_every_worker_has_stopped(session: Session) -> None:
    await work_waits_and_there_is_no_worker(session)
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.workers SET stopped_at = app.clock()")


@damage("GAP-20")
async def a_reconciler_fails(session: Session) -> None:
    await run(session, ALIVE)
    error = '{"message": "permission denied"}'
    await run(
        session, "UPDATE {schema}.workers SET failures = 7, found = '{}', last_error = %(error)s", {"error": error}
    )


@damage("GAP-29")
async def a_job_is_past_its_deadline(session: Session) -> None:
    await open_stage(session)
    past = "UPDATE {schema}.jobs SET deadline = '1 hour', deadline_at = app.clock() - interval '10 minutes'"
    await run(session, past)


@damage("GAP-21")
async def a_guard_is_switched_off(session: Session) -> None:
    await run(session, "ALTER TABLE {schema}.tasks DISABLE TRIGGER tasks_2_guard")


@damage("GAP-21")
async def a_guard_is_gone(session: Session) -> None:
    await run(session, "DROP TRIGGER tasks_2_guard ON {schema}.tasks")


@damage("GAP-21")
async def the_log_may_be_rewritten(session: Session) -> None:
    await run(session, "DROP TRIGGER job_events_2_kept ON {schema}.job_events")


@damage("GAP-21")
async def a_guard_fires_for_replicas_only(session: Session) -> None:
    await run(session, "ALTER TABLE {schema}.jobs ENABLE REPLICA TRIGGER jobs_2_guard")


async def note(session: Session, event_type: str, data: str) -> None:
    job = await completed_job(session)
    insert = """INSERT INTO {schema}.job_events (job_id, event_type, event_status, event_data)
VALUES (%(job)s, %(type)s, 'warning', %(data)s)"""
    async with unguarded(session):
        await run(session, insert, {"job": job, "type": event_type, "data": data})


@damage("GAP-22")
async def a_message_was_dead_lettered(session: Session) -> None:
    await note(session, "message_dead_lettered", '{"reason": "no such job"}')


@damage("GAP-22")
async def a_dead_letter_belonged_to_no_job(session: Session) -> None:
    await run(
        session, "INSERT INTO {schema}.dead_letters VALUES ('jobs', 'm-1', 'd', 'NotJson', 'the body is not JSON')"
    )


@damage("GAP-30")
async def a_relay_does_not_send(session: Session) -> None:
    await open_stage(session)
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.workers SET bus = 'servicebus'")
    await run(session, "UPDATE {schema}.tasks SET due_at = app.clock() - interval '100 s'")


@damage("GAP-30")
async def a_relay_tries_in_vain(session: Session) -> None:
    await open_stage(session)
    await run(session, ALIVE)
    await run(session, "UPDATE {schema}.workers SET bus = 'servicebus', unsent_s = 100")


@damage("GAP-23")
async def a_result_came_too_late(session: Session) -> None:
    await note(session, "stale_result_rejected", '{"outcome": "completed", "worker": "w-1"}')


@damage("GAP-24")
async def a_reconciler_has_mended_something(session: Session) -> None:
    await note(session, "gap_found", '{"gap": "no open stage and no message"}')


@damage("GAP-25")
async def a_lease_needs_no_owner_any_more(session: Session) -> None:
    await run(session, "ALTER TABLE {schema}.tasks DROP CONSTRAINT tasks_lease_owner_tied")


@damage("GAP-26")
async def a_stage_may_close_before_its_tasks_are_counted(session: Session) -> None:
    check = "status = 'processing' OR tasks_open = 0"
    await run(session, "ALTER TABLE {schema}.stages DROP CONSTRAINT stages_closed_when_counted")
    add = "ALTER TABLE {schema}.stages ADD CONSTRAINT stages_closed_when_counted"
    await run(session, f"{add} CHECK ({check}) NOT VALID")


@damage("GAP-27")
async def a_stage_may_open_twice(session: Session) -> None:
    await run(session, "ALTER TABLE {schema}.tasks DROP CONSTRAINT tasks_pkey")


@damage("GAP-31")
async def a_task_is_set_aside(session: Session) -> None:
    job = await open_stage(session)
    insert = """INSERT INTO {schema}.set_aside (step, item, job_id, since, times, until, error, worker)
VALUES ('claim task', '1-0', %(job)s, app.clock(), 3, app.clock() + interval '1 minute',
  '{"message": "boom"}', 'w-1')"""
    await run(session, insert, {"job": job})


@damage("GAP-32")
async def a_loop_of_a_worker_fails(session: Session) -> None:
    await run(session, ALIVE)
    loops = '{"relay of tasks": {"times": 3, "failing_s": 12.5, "error": {"message": "boom"}}}'
    await run(session, "UPDATE {schema}.workers SET loops = %(loops)s", {"loops": loops})


@damage("GAP-33")
async def a_job_message_is_due_in_a_year(session: Session) -> None:
    job = await insert_row(session, JOBS)
    await insert_row(session, STAGES, job_id=job.key)
    await run(session, "UPDATE {schema}.jobs SET due_at = app.clock() + interval '1 year'")


@damage("GAP-33")
async def a_task_is_due_in_a_year(session: Session) -> None:
    await open_stage(session)
    await run(session, "UPDATE {schema}.tasks SET due_at = app.clock() + interval '1 year'")


@damage("GAP-33")
async def a_callback_is_due_in_a_year(session: Session) -> None:
    await insert_row(session, CALLBACKS, job_id=await completed_job(session))
    await run(session, "UPDATE {schema}.callbacks SET due_at = app.clock() + interval '1 year'")
