"""The diagnosis of a job: decided purely from the facts of one moment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, cast

from ...diagrams.timeline import TimelineEvent
from ...statemachine.lifecycles import CALLBACK, JOB
from ..store.rows import StageRow
from .audit import OVERDUE_S
from .diagnosis_rows import Facts, OwedCallback, QueuedTasks, RunningTasks, SetAside

Verdict = Literal["running", "waiting", "stalled", "completed", "failed", "cancelled"]
WORKER = "coremachine worker --app MODULE"
NEAREST: tuple[Verdict, ...] = ("running", "stalled", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A worker that holds rows of the job, its leases, and when they expire unless it renews them."""

    worker: str
    holds: str
    lease_numbers: tuple[int, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The diagnosis of one job, as JSON values and times.

    `verdict` is `running` if a worker processes the job, `waiting` if a worker or a known time will move it on,
    `stalled` if nothing will, else how the job ended; then `ended` has its time and reason. `until` is the next time
    at which something happens by itself, and `deadline` the time at which the job fails unless it has ended.
    """

    job_id: str
    short_id: str
    job_type: str
    status: str
    verdict: Verdict
    last_successful: TimelineEvent | None
    first_failure: TimelineEvent | None
    ended: TimelineEvent | None
    error_type: str | None
    error: str | None
    waits_for: tuple[str, ...]
    held_by: tuple[Holder, ...]
    until: datetime | None
    deadline: datetime | None
    next_steps: tuple[str, ...]


class Wait(NamedTuple):
    """One thing that the job waits for: a text, its verdict, and until when."""

    words: str
    verdict: Verdict
    until: datetime | None = None


def why(facts: Facts) -> Diagnosis:
    """Decide what a job waits for, who holds it and until when, and what can be done now."""
    waits = [*_of_failures(facts), *_waits(facts)]
    status: str = facts.job["status"]
    verdict = cast("Verdict", status) if JOB.by_name[status].terminal else _nearest(waits)
    times = [at for at in (facts.job["deadline_at"], *(wait.until for wait in waits)) if at is not None]
    failure = facts.first_failure
    return Diagnosis(
        job_id=facts.job["job_id"],
        short_id=facts.short_id,
        job_type=facts.job["job_type"],
        status=status,
        verdict=verdict,
        last_successful=facts.last_successful,
        first_failure=failure,
        ended=facts.ended,
        error_type=_error(failure, "type"),
        error=_error(failure, "message"),
        waits_for=tuple(wait.words for wait in waits),
        held_by=tuple(_holders(facts)),
        until=min((at for at in times if at > facts.now), default=None),
        deadline=facts.job["deadline_at"],
        next_steps=tuple(_next_steps(facts, verdict, waits)),
    )


def _nearest(waits: list[Wait]) -> Verdict:
    """`running` overrides `stalled`: while a worker processes the job, it will get to the rest."""
    found = {wait.verdict for wait in waits}
    for verdict in NEAREST:
        if verdict in found:
            return verdict
    return "stalled"


def _waits(facts: Facts) -> Iterator[Wait]:
    if JOB.by_name[facts.job["status"]].terminal:
        for callback in facts.callbacks:
            yield from _callback(facts, callback)
        return
    stage = facts.open_stage
    for running in facts.running:
        yield _running(facts, running, stage)
    for queued in facts.queued:
        yield _queued(facts, queued, stage)
    if facts.job["due_at"] is not None:
        yield _message(facts)
    if _is_overdue(facts):
        yield _repaired(facts, f"its end: its deadline passed {_ago(facts, facts.job['deadline_at'])}")
    if stage is not None and not stage.tasks_open:
        yield _repaired(facts, f"the closing of stage {stage.stage} ({stage.name}): all its tasks are counted")
    if stage is None and facts.job["due_at"] is None:
        yield _repaired(facts, "a message for the job, which has neither one nor an open stage")


def _of_failures(facts: Facts) -> Iterator[Wait]:
    """Items of this job that workers could not handle, and, while it is open, the workers' failing loops."""
    for aside in facts.set_aside:
        yield _set_aside(facts, aside)
    if not JOB.by_name[facts.job["status"]].terminal:
        for failing in facts.failing_loops:
            yield Wait(f"the {failing.loop} of worker {failing.worker}, which {failing.what}", "waiting")


def _set_aside(facts: Facts, aside: SetAside) -> Wait:
    times = "once" if aside.times == 1 else f"{aside.times} times in a row"
    words = f"{aside.step} {aside.item}, which failed {times}: {aside.message}"
    return Wait(f"{words}; tried again {_in(facts, aside.until)}", "stalled", aside.until)


def _running(facts: Facts, running: RunningTasks, stage: StageRow | None) -> Wait:
    what = _tasks(running.tasks, running.task_number, stage)
    if running.expired:
        gone = _ago(facts, running.lease_expires_at)
        words = f"the rescue of {what}: the lease of {running.lease_owner} expired {gone}"
        return _repaired(facts, words, "no other worker")
    asked = f", asked to stop ({stage.stop_reason}: {stage.stop_why})" if stage and stage.stop_reason else ""
    until = running.deadline_at or _stop_by(facts) or running.lease_expires_at
    return Wait(f"{what} running on {running.lease_owner}{asked}", "running", until)


def _stop_by(facts: Facts) -> datetime | None:
    """When tasks without a timeout are taken from their workers after they were asked to stop."""
    stopped: datetime | None = facts.open_stage.stopped_at if facts.open_stage else None
    return stopped + timedelta(seconds=facts.stop_grace) if stopped else None


def _is_overdue(facts: Facts) -> bool:
    """Whether it is past its deadline and not asked to stop: then it waits only for that."""
    asked = facts.open_stage is not None and facts.open_stage.stop_reason is not None
    deadline: datetime | None = facts.job["deadline_at"]
    return deadline is not None and deadline <= facts.now and not asked


def _queued(facts: Facts, queued: QueuedTasks, stage: StageRow | None) -> Wait:
    what = _tasks(queued.tasks, queued.task_number, stage)
    if queued.due:
        kind = f"tasks of type {stage.task_type}" if stage else "its tasks"
        return _due(facts, f"{what} queued", queued.due_at, kind, moving=queued.moving)
    if queued.sent:
        return _sent(facts, what, queued.due_at)
    more = f", the first of {queued.tasks}" if queued.tasks > 1 else ""
    attempt = f"(attempt {queued.attempt} of {queued.max_attempts}{more})"
    words = f"the retry of {_tasks(1, queued.task_number, stage)} {_in(facts, queued.due_at)} {attempt}"
    return _timed(facts, words, queued.due_at)


def _message(facts: Facts) -> Wait:
    job = facts.job
    due: datetime = job["due_at"]
    if job["lease_owner"] and job["lease_expires_at"] > facts.now:
        return Wait(f"its message, which {job['lease_owner']} is handling", "running", job["lease_expires_at"])
    if due > facts.now and job["send_number"]:
        return _sent(facts, "its message", due)
    if due > facts.now:
        return _timed(facts, f"its message, due {_in(facts, due)}", due)
    return _due(facts, "its message, due", due, f"jobs of type {job['job_type']}", moving=False)


def _callback(facts: Facts, callback: OwedCallback) -> Iterator[Wait]:
    if CALLBACK.by_name[callback.status].terminal:
        return
    attempt = f"(attempt {callback.attempt} of {callback.max_attempts})"
    if callback.lease_owner is not None and callback.lease_expires_at is not None:
        if callback.lease_expires_at > facts.now:
            words = f"callback {callback.name} {attempt}, running on {callback.lease_owner}"
            yield Wait(words, "running", callback.lease_expires_at)
        else:
            gone = _ago(facts, callback.lease_expires_at)
            words = f"the rescue of callback {callback.name}: the lease of {callback.lease_owner} expired {gone}"
            yield _repaired(facts, words, "no other worker")
    elif callback.due_at is not None and callback.due_at > facts.now and callback.send_number:
        yield _sent(facts, f"callback {callback.name} {attempt}", callback.due_at)
    elif callback.due_at is not None and callback.due_at > facts.now:
        again = "to be retried" if callback.attempt > 1 else "to run"
        words = f"callback {callback.name} {attempt}, {again} {_in(facts, callback.due_at)}"
        yield _timed(facts, words, callback.due_at)
    elif callback.due_at is not None:
        kind = f"jobs of type {facts.job['job_type']}"
        yield _due(facts, f"callback {callback.name} {attempt}, queued", callback.due_at, kind, moving=False)


def _due(facts: Facts, what: str, since: datetime, kind: str, *, moving: bool) -> Wait:
    """A row that any worker may claim. A waiting row is not lost: it is stalled only if no worker will claim it."""
    waited = (facts.now - since).total_seconds()
    words = f"{what} for {_span(facts.now - since)}"
    if not facts.alive:
        return Wait(f"{words}; no worker is alive", "stalled" if waited > facts.alive_within else "waiting")
    if waited > OVERDUE_S and not moving:
        return Wait(f"{words}; workers alive: {facts.alive}, but none runs {kind}", "stalled")
    return Wait(f"{words}; workers alive: {facts.alive}", "waiting")


def _sent(facts: Facts, what: str, again: datetime) -> Wait:
    """The broker has the message. If it has lost it, a relay sends it again."""
    return _timed(facts, f"{what}, sent to the broker; again {_in(facts, again)} unless a worker claims it", again)


def _timed(facts: Facts, words: str, at: datetime) -> Wait:
    return Wait(words if facts.alive else f"{words}; no worker is alive", "waiting", at)


def _repaired(facts: Facts, words: str, nobody: str = "no worker") -> Wait:
    """An action of a reconciler, within its period and a quarter."""
    if not facts.alive:
        return Wait(f"{words}; {nobody} is alive to do it", "stalled")
    within = 1.25 * facts.reconcile
    return Wait(f"{words}; within {within:.3g} s", "waiting", facts.now + timedelta(seconds=within))


def _holders(facts: Facts) -> Iterator[Holder]:
    stage = facts.open_stage
    for running in facts.running:
        yield Holder(
            worker=running.lease_owner,
            holds=_tasks(running.tasks, running.task_number, stage),
            lease_numbers=tuple(running.lease_numbers),
            until=running.lease_expires_at,
        )
    job = facts.job
    if job["lease_owner"] is not None:
        numbers = (job["lease_number"],)
        yield Holder(worker=job["lease_owner"], holds="message", lease_numbers=numbers, until=job["lease_expires_at"])
    for callback in facts.callbacks:
        if callback.lease_owner is not None:
            numbers = (callback.lease_number,)
            until = callback.lease_expires_at
            holds = f"callback {callback.name}"
            yield Holder(worker=callback.lease_owner, holds=holds, lease_numbers=numbers, until=until)


def _next_steps(facts: Facts, verdict: Verdict, waits: list[Wait]) -> Iterator[str]:
    job = facts.short_id
    if JOB.by_name[facts.job["status"]].failure:
        yield f"coremachine resume {job}"
        if not facts.alive:
            yield WORKER
    elif verdict == "stalled" or (waits and not facts.alive):
        yield WORKER
    elif waits:
        yield f"coremachine timeline {job} --follow"
    elif facts.first_failure is not None:
        yield f"coremachine timeline {job}"


def _tasks(number: int, first: int, stage: StageRow | None) -> str:
    named = f" of stage {stage.stage} ({stage.name})" if stage else ""
    return f"task-{first:03d}{named}" if number == 1 else f"{number} tasks{named}"


def _error(failure: TimelineEvent | None, part: str) -> str | None:
    error = failure and failure.data.get("error")
    return str(cast("Mapping[str, object]", error).get(part)) if isinstance(error, Mapping) else None


def _ago(facts: Facts, at: datetime) -> str:
    return f"{_span(facts.now - at)} ago"


def _in(facts: Facts, at: datetime) -> str:
    return f"in {_span(at - facts.now)}"


def _span(length: timedelta) -> str:
    seconds = max(0, round(length.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
