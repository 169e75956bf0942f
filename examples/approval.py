"""Your own lifecycle: an approval that a person gives, rejects or revokes, created when a job completes.

Its table, its guards, its diagram, an events table, and the moves of `Records.fire` are all generated from the
declaration below. `coremachine ddl --records coremachine.examples.approval:APPROVALS` prints the tables, and
`coremachine diagram coremachine.examples.approval:APPROVAL` draws the lifecycle.
"""

from coremachine import CoreMachine, Job, Records, Stage, task
from coremachine.statemachine import Column, Event, EventLog, Lifecycle, Record, State, StateColumn, Transition

APPROVAL = Lifecycle(
    "approval",
    states=(
        State(name="pending", initial=True, waits_for="a reviewer"),
        State(name="approved", terminal=True),
        State(name="rejected", terminal=True, failure=True),
        State(name="revoked", terminal=True, failure=True),
    ),
    transitions=(
        Transition(trigger="approve", sources=("pending",), target="approved", event=Event("approval_given")),
        Transition(
            trigger="reject", sources=("pending",), target="rejected", event=Event("approval_refused", "failure")
        ),
        Transition(
            trigger="revoke", sources=("approved",), target="revoked", event=Event("approval_revoked", "warning")
        ),
    ),
    created=Event("approval_requested"),
    text="Waits for a person. An approval can be revoked.",
)

APPROVALS = Record(
    lifecycle=APPROVAL,
    table="approvals",
    key=Column(name="approval_id", type="VARCHAR(64)"),
    columns=(
        Column(name="job_id", type="VARCHAR(64)", references="jobs(job_id)"),
        Column(name="summary", type="TEXT"),
        Column(name="decided_by", type="VARCHAR(100)", nullable=True, text="who approved, rejected or revoked"),
        Column(name="decided_at", type="TIMESTAMPTZ", nullable=True),
    ),
    log=EventLog(table="approval_events", copied_columns=("approval_id", "job_id")),
    state_columns=(
        StateColumn(column="decided_at", required=("approved", "rejected", "revoked"), clock=True),
        StateColumn(column="decided_by", allowed=("approved", "rejected", "revoked")),
    ),
    sets={"approve": ("decided_by",), "reject": ("decided_by",), "revoke": ("decided_by",)},
)


@task
def measure(title: str) -> dict[str, object]:
    """The work that needs an approval."""
    return {"title": title, "characters": len(title)}


async def ask_for_approval(job_id: str, result: dict[str, object], records: Records) -> None:
    """Runs at least once after the job has completed. Because of the key, a second run changes nothing."""
    await records.create(APPROVALS, job_id, {"job_id": job_id, "summary": f"{result['title']}: please look"})


publish = Job("publish", [Stage("measure", measure)], on_job_complete=ask_for_approval)

if __name__ == "__main__":
    with CoreMachine(jobs=[publish], records=[APPROVALS], install=True) as app:
        job = app.submit(publish, title="Elevation of Campbell County")
        app.work(until_idle=True)
        approval = app.run(app.async_app.records.get(APPROVALS, job.id))
        print(f"{approval['summary']} ({approval['status']})")
        if approval["status"] == "pending":
            app.run(app.async_app.records.fire(APPROVALS, job.id, "approve", {"decided_by": "a reviewer"}))
        for event in app.run(app.async_app.records.events(APPROVALS, job.id)):
            print(f"{event['created_at']:%H:%M:%S}  {event['event_type']}  {event['event_data']}")
