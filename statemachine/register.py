"""The whole gap register: the founding checks, and the gaps that queries find, constraints close and code handles.

A query finds damage that no move can cause, but manual changes, disk faults and bugs can. `coremachine audit` runs the
queries on live data. Each is a file in runtime/sql/audit; only the replay is generated.
"""

from dataclasses import dataclass

from .gaps import REGISTER, Gap

QUERIES = "coremachine.runtime.sql.audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class GapQuery(Gap):
    """A gap that a query finds: `query` is the name of its file, without `.sql`."""

    query: str

    @property
    def enforced_by(self) -> str:
        """The file of the query, as `package:file`."""
        return f"{QUERIES}:{self.query}.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class GapReplay(Gap):
    """A gap that the replay of the event logs finds, by statements that are made from the declaration."""

    @property
    def enforced_by(self) -> str:
        """What makes the statements, as `module:attribute`."""
        return "coremachine.sql_generator.replay:replay_statements"


@dataclass(frozen=True, slots=True, kw_only=True)
class GapConstraint(Gap):
    """A gap that a constraint of the schema closes. The audit checks that the constraint exists."""

    constraint: str

    @property
    def enforced_by(self) -> str:
        """The name of the constraint."""
        return self.constraint


@dataclass(frozen=True, slots=True, kw_only=True)
class GapHandled(Gap):
    """A gap that the structure of the code closes: `handler` is `module:attribute`."""

    handler: str

    @property
    def enforced_by(self) -> str:
        """Where it is handled, as `module:attribute`."""
        return self.handler


FOUND: tuple[GapQuery | GapReplay, ...] = (
    GapQuery(
        id="GAP-8",
        severity="medium",
        gap="a message is lost: a row is long overdue, and no worker has claimed it",
        response="the row stays due, and the next worker that declares its type claims it; a waiting row is not lost",
        event="gap_found",
        remedy="start a worker that declares the type: `coremachine worker --app MODULE`; see `coremachine why JOB`",
        query="lost_messages",
    ),
    GapQuery(
        id="GAP-9",
        severity="critical",
        gap="an orphaned row: it is open under a parent that has ended, or has the wrong parent",
        response="a closed parent accepts no child, and a parent with open children cannot end: the database counts",
        event="gap_found",
        remedy="as the schema's owner `SELECT app.repair_job('JOB')`, which removes an orphaned task and recounts;"
        " if a stage is orphaned, submit the work again with --key; find out who changed rows by hand",
        query="orphaned_rows",
    ),
    GapQuery(
        id="GAP-10",
        severity="critical",
        gap="a counter differs from the children it counts",
        response="a trigger of the database counts every move, of any client; nothing else may write a counter",
        event="gap_found",
        remedy="as the schema's owner `SELECT app.repair_job('JOB')`, which recounts what is open; if the stage"
        " has ended, submit the work again with --key; find out who changed rows by hand",
        query="counters_off",
    ),
    GapReplay(
        id="GAP-11",
        severity="critical",
        gap="a row's state is not the state that its events lead to",
        response="a status changes only with its event in the same transaction; events are never changed",
        event="gap_found",
        remedy="`coremachine timeline JOB --all` shows its history; `coremachine audit --only GAP-21`, the guards",
    ),
    GapQuery(
        id="GAP-12",
        severity="high",
        gap="a completed job declares a callback, and the callback's row is missing",
        response="the callback's row is created in the transaction that completes the job",
        event="gap_found",
        remedy="run by hand what on_job_complete does, with the job's data from `coremachine jobs --json`",
        query="missing_callbacks",
    ),
    GapQuery(
        id="GAP-13",
        severity="medium",
        gap="a callback has failed for good in the last 7 days",
        response="callback_executed with failure, error and attempt; the job's state does not change",
        event="callback_failed",
        remedy="`coremachine timeline JOB` shows its error; run by hand what on_job_complete does",
        query="failed_callbacks",
    ),
    GapQuery(
        id="GAP-14",
        severity="high",
        gap="a lease without end: expired and not rescued, too far ahead, or renewed after the task's time-out",
        response="every lease expires; a reconciler rescues tasks whose lease has, and ends tasks past their time-out",
        event="task_rescued",
        remedy="start a worker: `coremachine worker --app MODULE`; its reconciler rescues within seconds",
        query="endless_leases",
    ),
    GapQuery(
        id="GAP-16",
        severity="critical",
        gap="the schema has drifted from the declaration",
        response="a program refuses to start on a schema from another declaration",
        event="gap_found",
        remedy="`coremachine db install` with the release, and the --app, of the workers",
        query="drifted_schema",
    ),
    GapQuery(
        id="GAP-17",
        severity="high",
        gap="a stage is open though all its tasks are counted",
        response="a stage closes in the transaction of its last task; a reconciler closes a stage that was left open",
        event="gap_found",
        remedy="start a worker: `coremachine worker --app MODULE`; its reconciler closes the stage within seconds",
        query="counted_open_stages",
    ),
    GapQuery(
        id="GAP-18",
        severity="high",
        gap="a job is processing with neither an open stage nor a message",
        response="a stage that closes makes its job due in the same transaction; a reconciler does it again",
        event="gap_found",
        remedy="start a worker: `coremachine worker --app MODULE`; its reconciler makes the job due within seconds",
        query="idle_jobs",
    ),
    GapQuery(
        id="GAP-19",
        severity="critical",
        gap="a job is open though one of its stages has failed or was cancelled",
        response="a stage that fails or is cancelled ends its job in the same transaction",
        event="gap_found",
        remedy="`coremachine cancel JOB`, then `coremachine resume JOB`",
        query="unfailed_jobs",
    ),
    GapQuery(
        id="GAP-20",
        severity="high",
        gap="no worker is alive while work is open, or the last run of a reconciler failed",
        response="each worker has a reconciler, which records its runs and failures",
        event="gap_found",
        remedy="start a worker: `coremachine worker --app MODULE`; if a run failed, the worker's log has the error",
        query="silent_reconcilers",
    ),
    GapQuery(
        id="GAP-21",
        severity="critical",
        gap="a guard of the schema is disabled or missing",
        response="guards are triggers that only the owner can disable or drop",
        event="gap_found",
        remedy="as the owner `ALTER TABLE … ENABLE TRIGGER …`, or create it again as `coremachine ddl` prints it; then"
        " `coremachine audit` to find what happened meanwhile",
        query="guards_off",
    ),
    GapQuery(
        id="GAP-29",
        severity="high",
        gap="a job is past its deadline, and has neither failed nor been asked to stop",
        response="a reconciler in each worker fails it; its running tasks are asked to stop, and end in time",
        event="job_failed",
        remedy="start a worker: `coremachine worker --app MODULE`; its reconciler ends the job within seconds",
        query="overdue_jobs",
    ),
    GapQuery(
        id="GAP-22",
        severity="medium",
        gap="a message was dead-lettered in the last 7 days",
        response="its reason is an event of the job; a message without a job is kept with its reason for 7 days",
        event="message_dead_lettered",
        remedy="`coremachine timeline JOB --all` shows the reason; then `coremachine resume JOB`, or submit it"
        " again; for a message without a job, find out what else sends to that queue",
        query="dead_letters",
    ),
    GapQuery(
        id="GAP-23",
        severity="info",
        gap="a late result was refused in the last day",
        response="a result counts only under its task's current lease; a late one is kept as an event",
        event="stale_result_rejected",
        remedy="nothing; if there are many, set a longer lease: COREMACHINE_LEASE",
        query="stale_results",
    ),
    GapQuery(
        id="GAP-24",
        severity="info",
        gap="a gap was found and repaired in the last day",
        response="a reconciler repairs it with the same moves as the flow, and records it as an event",
        event="gap_found",
        remedy="`coremachine timeline JOB --all` shows what was found; report a gap that recurs as a bug",
        query="gaps_found",
    ),
    GapQuery(
        id="GAP-30",
        severity="high",
        gap="messages have not been sent to the broker for a minute",
        response="the row is its own outbox entry and stays due; relays try again until its message is sent",
        event="gap_found",
        remedy="`coremachine bus check` shows what fails; the worker's log has the errors",
        query="unsent_messages",
    ),
)

SET_ASIDE: tuple[GapQuery, ...] = (
    GapQuery(
        id="GAP-31",
        severity="high",
        gap="no worker can handle an item, and it is set aside",
        response="the other items are handled without it; it is tried again at least every ten minutes",
        event="gap_found",
        remedy="the error names what refuses it: `coremachine audit` shows what is wrong with its row, and a remedy;"
        " once that is fixed, the next try handles it",
        query="set_aside",
    ),
    GapQuery(
        id="GAP-32",
        severity="high",
        gap="a loop of a running worker fails, or is stuck: the server has not answered it for longer than a lease",
        response="the log and the heartbeat name the loop; one that fails restarts after a pause; while one is stuck,"
        " its worker does not count as alive",
        event="gap_found",
        remedy="if it fails, the worker's log has the traceback: report it as a bug, and restart the worker; if it is"
        " stuck, check the network and what holds locks, and restart the worker",
        query="failing_loops",
    ),
    GapQuery(
        id="GAP-33",
        severity="high",
        gap="a row is due later than any back-off could set",
        response="times come from the database's clock; an infinite time is refused",
        event="gap_found",
        remedy="as the schema's owner set its `due_at` to `app.clock()`; find out who changed rows by hand",
        query="due_too_late",
    ),
)

CONSTRAINED: tuple[GapConstraint, ...] = (
    GapConstraint(
        id="GAP-25",
        severity="critical",
        gap="a lease without an owner",
        response="a running task has an owner and an expiry, and no other task has them",
        event="gap_found",
        remedy="add the constraint again as the owner, as `coremachine ddl` prints it; then `coremachine audit`",
        constraint="tasks_lease_owner_tied",
    ),
    GapConstraint(
        id="GAP-26",
        severity="critical",
        gap="a stage closes before its tasks are counted",
        response="a stage with open tasks cannot close, and a closed one accepts none: the database counts them",
        event="gap_found",
        remedy="add the constraint again as the owner, as `coremachine ddl` prints it; then `coremachine audit`",
        constraint="stages_closed_when_counted",
    ),
    GapConstraint(
        id="GAP-27",
        severity="critical",
        gap="a duplicate message opens a stage twice",
        response="a task id consists of stage and index, so a second opening violates the primary key",
        event="gap_found",
        remedy="add the constraint again as the owner, as `coremachine ddl` prints it; then `coremachine audit`",
        constraint="tasks_pkey",
    ),
)

HANDLED: tuple[GapHandled, ...] = (
    GapHandled(
        id="GAP-15",
        severity="high",
        gap="a fan-out function raises",
        response="it runs before the transaction that opens the stage; its error fails stage and job",
        event="stage_failed",
        remedy="fix the function; then `coremachine resume JOB`",
        handler="coremachine.runtime.flow.open_stage:open_stage",
    ),
    GapHandled(
        id="GAP-28",
        severity="high",
        gap="a message exceeds the size limit of its bus",
        response="a message carries ids, never payloads",
        event="message_dead_lettered",
        remedy="nothing: a message has no field that could grow",
        handler="coremachine.runtime.bus.port:Announcement",
    ),
)

GAPS: tuple[Gap, ...] = tuple(
    sorted((*REGISTER, *FOUND, *SET_ASIDE, *CONSTRAINED, *HANDLED), key=lambda gap: int(gap.id.removeprefix("GAP-")))
)
"""Every entry, by number."""
