"""The types of the public API, as both type checkers see them. `make lint` checks this file; nothing runs it."""

from collections.abc import Mapping
from typing import Any, assert_type

from coremachine import (
    AsyncCoreMachine,
    Backoff,
    CoreMachine,
    Job,
    Records,
    Settings,
    Stage,
    Task,
    TaskContext,
    __version__,
    task,
)
from coremachine.diagrams import Graph, JobShape, lifecycle_graph, render, shape_graph
from coremachine.sql_generator import ddl, move_statement, script
from coremachine.statemachine import (
    Column,
    Event,
    EventLog,
    GapCheck,
    Lifecycle,
    Machine,
    Record,
    State,
    Subject,
    Transition,
)

assert_type(__version__, str)


@task
def plan(raster: str, size: int = 4) -> list[dict[str, int]]:
    return [{"first": size, "last": len(raster)}]


@task(retries=3, timeout=600, backoff=Backoff(first=0.5))
def shade(window: dict[str, int], context: TaskContext) -> str:
    assert_type(context.cancelled, bool)
    assert_type(context.attempt, int)
    assert_type(context.checkpoint("begun", first=window["first"]), None)
    return str(window)


@task
async def publish(tiles: list[str]) -> None: ...


def a_task_keeps_the_signature_of_its_function() -> None:
    assert_type(plan("dem"), list[dict[str, int]])
    assert_type(plan(raster="dem", size=2), list[dict[str, int]])
    assert_type(shade({"first": 0}, context=TaskContext()), str)
    assert_type(shade.function({"first": 0}, TaskContext()), str)
    assert_type(shade.name, str)


async def an_async_task_is_awaited() -> None:
    assert_type(await publish(["a"]), None)


def a_job_is_made_of_stages() -> None:
    job = Job(
        "shading", [Stage("plan", plan), Stage("shade", shade, each="plan"), Stage("end", publish, gather="shade")]
    )
    assert_type(job, Job)
    assert_type(job.name, str)
    assert_type(job.stages, tuple[Stage, ...])
    assert_type(job.stage("plan").task, Task[..., Any])


def an_application_submits_and_shows_jobs(job: Job) -> None:
    with CoreMachine(jobs=[job], settings=Settings(concurrency=2)) as app:
        assert_type(app, CoreMachine)
        submitted = app.submit(job, raster="dem", key="again", deadline=60)
        assert_type(submitted.id, str)
        assert_type(app.submit("shading").id, str)
        assert_type(app.work(until_idle=True), None)
        assert_type(app.timeline(submitted.id), str)
        assert_type(app.job(submitted.id), dict[str, Any])
        assert_type(app.cancel(submitted.id), str)
        assert_type(app.async_app, AsyncCoreMachine)
        assert_type(app.run(app.async_app.list_jobs(limit=1)), list[dict[str, Any]])


async def the_async_application_does_the_same(job: Job) -> None:
    async with AsyncCoreMachine(jobs=[job]) as app:
        assert_type(app, AsyncCoreMachine)
        assert_type((await app.submit(job)).id, str)
        assert_type(await app.timeline("abc123"), str)
        assert_type(app.records, Records)


def decided_by_somebody(values: Mapping[str, object], _data: Mapping[str, object]) -> str | None:
    return None if values.get("decided_by") else "nobody is named"


SIGNED = GapCheck(
    id="SIGNED",
    severity="high",
    gap="an approval that nobody gave",
    response="the approval is refused",
    event="approval_given",
    condition=decided_by_somebody,
)
APPROVAL = Lifecycle(
    "approval",
    states=(State(name="pending", initial=True, waits_for="a reviewer"), State(name="approved", terminal=True)),
    transitions=(
        Transition(
            trigger="approve",
            sources=("pending",),
            target="approved",
            event=Event("approval_given"),
            gap_checks=(SIGNED,),
        ),
    ),
)
APPROVALS = Record(
    lifecycle=APPROVAL,
    table="approvals",
    key=Column(name="approval_id", type="VARCHAR(64)"),
    columns=(Column(name="decided_by", type="VARCHAR(100)", nullable=True),),
    log=EventLog(table="approval_events", copied_columns=("approval_id",)),
)


def a_lifecycle_is_run_in_memory() -> None:
    subject = Subject("a", "pending")
    move = Machine(APPROVAL).fire(subject, "approve", {"decided_by": "Ada"})
    assert_type(move.target, str)
    assert_type(subject.state, str)


async def records_are_made_and_moved(records: Records) -> None:
    assert_type(await records.create(APPROVALS, "a"), bool)
    assert_type(await records.fire(APPROVALS, "a", "approve", {"decided_by": "Ada"}), str)


def a_declaration_becomes_sql_and_pictures() -> None:
    assert_type(script(), str)
    assert_type(ddl(), list[str])
    assert_type(move_statement(APPROVALS, "approve").sql, str)
    assert_type(lifecycle_graph(APPROVAL), Graph)
    assert_type(render(lifecycle_graph(APPROVAL), "svg"), bytes)


def the_shape_of_a_job_becomes_a_picture(shape: JobShape) -> None:
    assert_type(shape_graph(shape), Graph)
