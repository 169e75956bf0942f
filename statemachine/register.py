"""The whole gap register: the founding checks, and the gaps that queries find, constraints close and code handles.

A query finds what no client can do through a move, but hands, disks and bugs can; `coremachine audit` runs it over live
data. It stands in a file of its own in runtime/sql/audit; only the replay is generated.
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
    """A gap that a constraint of the schema closes. The audit asks whether it is still there."""

    constraint: str

    @property
    def enforced_by(self) -> str:
        """The name of the constraint."""
        return self.constraint


@dataclass(frozen=True, slots=True, kw_only=True)
class GapHandled(Gap):
    """A gap that a piece of code closes by its shape: `handler` is `module:attribute`."""

    handler: str

    @property
    def enforced_by(self) -> str:
        """Where it is handled, as `module:attribute`."""
        return self.handler


FOUND: tuple[GapQuery | GapReplay, ...] = (
    GapQuery(
        id="GAP-8",
        severity="medium",
        gap="a message is lost: nobody has come for a row long past its time",
        response="the row stays due, and the next worker that declares its type takes it; waiting is not lost",
        event="gap_found",
        remedy="start a worker that declares the type: `coremachine worker --app MODULE`; see `coremachine why JOB`",
        query="lost_messages",
    ),
    GapQuery(
        id="GAP-9",
        severity="critical",
        gap="an orphaned row: open under a parent that has ended, or under a parent that is not its own",
        response="a closed parent takes no child, and ends over no open one: the database counts, and refuses",
        event="gap_found",
        remedy="as the schema's owner `SELECT app.repair_job('JOB')`, which removes an orphaned task and recounts;"
        " where a stage is orphaned, submit the work anew with --key; find who wrote by hand",
        query="orphaned_rows",
    ),
    GapQuery(
        id="GAP-10",
        severity="critical",
        gap="a counter differs from the children it counts",
        response="the database counts in a trigger, whoever moves a row; nobody else may write a counter",
        event="gap_found",
        remedy="as the schema's owner `SELECT app.repair_job('JOB')`, which recounts what is open; where the stage"
        " has ended, submit the work anew with --key; find who wrote by hand",
        query="counters_off",
    ),
    GapReplay(
        id="GAP-11",
        severity="critical",
        gap="a row's state is not what its events lead to",
        response="no status changes without its event in the same transaction; events are never changed",
        event="gap_found",
        remedy="`coremachine timeline JOB --all` shows its history; `coremachine audit --only GAP-21`, the guards",
    ),
    GapQuery(
        id="GAP-12",
        severity="high",
        gap="a completed job declared a callback, and none is owed to it",
        response="the callback's row is made in the transaction that completes the job",
        event="gap_found",
        remedy="run by hand what on_job_complete does, with what `coremachine jobs --json` tells of the job",
        query="missing_callbacks",
    ),
    GapQuery(
        id="GAP-13",
        severity="medium",
        gap="a callback has failed for good in the last 7 days",
        response="callback_executed with failure, error and attempt; the job's state stays",
        event="callback_failed",
        remedy="`coremachine timeline JOB` shows its error; run by hand what on_job_complete does",
        query="failed_callbacks",
    ),
    GapQuery(
        id="GAP-14",
        severity="high",
        gap="a lease without end: expired and not rescued, too far ahead, or renewed though the task's time is over",
        response="every claim ends; a reconciler rescues what has expired, and ends what is past its time",
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
        remedy="`coremachine db install` with the release, and the --app, that the workers run",
        query="drifted_schema",
    ),
    GapQuery(
        id="GAP-17",
        severity="high",
        gap="a stage is open though all its tasks are counted",
        response="closing is in the transaction of the last task; a reconciler closes what was left open",
        event="gap_found",
        remedy="start a worker: `coremachine worker --app MODULE`; its reconciler closes the stage within seconds",
        query="counted_open_stages",
    ),
    GapQuery(
        id="GAP-18",
        severity="high",
        gap="a job is under way with neither an open stage nor a message",
        response="a stage that closes sends for its job in the same transaction; a reconciler sends again",
        event="gap_found",
        remedy="start a worker: `coremachine worker --app MODULE`; its reconciler sends for the job within seconds",
        query="idle_jobs",
    ),
    GapQuery(
        id="GAP-19",
        severity="critical",
        gap="a job is open though one of its stages has failed or was cancelled",
        response="a stage that does not complete ends its job in the same transaction",
        event="gap_found",
        remedy="`coremachine cancel JOB`, then `coremachine resume JOB`",
        query="unfailed_jobs",
    ),
    GapQuery(
        id="GAP-20",
        severity="high",
        gap="no worker is alive while work is open, or the last run of a reconciler failed",
        response="each worker has one, and records its runs and failures",
        event="gap_found",
        remedy="start a worker: `coremachine worker --app MODULE`; where a run failed, its log tells the error",
        query="silent_reconcilers",
    ),
    GapQuery(
        id="GAP-21",
        severity="critical",
        gap="a guard of the schema is switched off, or gone",
        response="guards are triggers that only the owner can switch off or drop",
        event="gap_found",
        remedy="as the owner `ALTER TABLE … ENABLE TRIGGER …`, or make it again as `coremachine ddl` prints it; then"
        " `coremachine audit` for what happened meanwhile",
        query="guards_off",
    ),
    GapQuery(
        id="GAP-29",
        severity="high",
        gap="a job is past its deadline, and nobody has failed it or asked it to stop",
        response="a reconciler in each worker fails it; what runs of it is asked to stop, and ends in time",
        event="job_failed",
        remedy="start a worker: `coremachine worker --app MODULE`; its reconciler ends the job within seconds",
        query="overdue_jobs",
    ),
    GapQuery(
        id="GAP-22",
        severity="medium",
        gap="a message was dead-lettered in the last 7 days",
        response="its reason is an event of the job; one of no job is kept with its reason for as long",
        event="message_dead_lettered",
        remedy="`coremachine timeline JOB --all` shows the reason; then `coremachine resume JOB`, or submit it"
        " anew; of no job: find who else sends into that queue",
        query="dead_letters",
    ),
    GapQuery(
        id="GAP-23",
        severity="info",
        gap="a late result was refused in the last day",
        response="a result counts only under the lease it was given; a late one is kept as an event",
        event="stale_result_rejected",
        remedy="nothing; where there are many, give workers a longer lease: COREMACHINE_LEASE",
        query="stale_results",
    ),
    GapQuery(
        id="GAP-24",
        severity="info",
        gap="a gap was found and mended in the last day",
        response="a reconciler mends by the moves of the flow, and says so",
        event="gap_found",
        remedy="`coremachine timeline JOB --all` shows what was found; report what comes back as a bug",
        query="gaps_found",
    ),
    GapQuery(
        id="GAP-30",
        severity="high",
        gap="messages have not been sent to the broker for a minute",
        response="the row is its own outbox entry and stays due; every relay takes it again until it is sent",
        event="gap_found",
        remedy="`coremachine bus check` says what refuses; the worker's log tells its errors",
        query="unsent_messages",
    ),
)

SET_ASIDE: tuple[GapQuery, ...] = (
    GapQuery(
        id="GAP-31",
        severity="high",
        gap="an item cannot be handled by any worker, and is set aside",
        response="the others are handled without it; it is tried again, at most ten minutes later each time",
        event="gap_found",
        remedy="the error names what refuses it: `coremachine audit` shows what is wrong with its row, and a remedy;"
        " once that is put right, the next try handles it",
        query="set_aside",
    ),
    GapQuery(
        id="GAP-32",
        severity="high",
        gap="a loop of a living worker fails",
        response="it is logged with its traceback, begins again after a pause, and is named in the worker's heartbeat",
        event="gap_found",
        remedy="the worker's log has the traceback; report it as a bug, and start the worker again",
        query="failing_loops",
    ),
    GapQuery(
        id="GAP-33",
        severity="high",
        gap="a row is due later than any back-off leads to",
        response="times are the database's own; one that is not finite is refused",
        event="gap_found",
        remedy="as the schema's owner set its `due_at` to `app.clock()`; find who wrote by hand",
        query="due_too_late",
    ),
)

CONSTRAINED: tuple[GapConstraint, ...] = (
    GapConstraint(
        id="GAP-25",
        severity="critical",
        gap="a lease without an owner",
        response="a running task has an owner and an expiry, and no other has",
        event="gap_found",
        remedy="add it again as the owner, as `coremachine ddl` prints it; `coremachine audit` then looks at the rows",
        constraint="tasks_lease_owner_tied",
    ),
    GapConstraint(
        id="GAP-26",
        severity="critical",
        gap="a stage closes before its tasks are counted",
        response="a stage with open tasks cannot be closed, nor a closed one be given any: the database counts them",
        event="gap_found",
        remedy="add it again as the owner, as `coremachine ddl` prints it; `coremachine audit` then looks at the rows",
        constraint="stages_closed_when_counted",
    ),
    GapConstraint(
        id="GAP-27",
        severity="critical",
        gap="a duplicate message opens a stage twice",
        response="task ids are made of stage and index, so that a second opening cannot be written",
        event="gap_found",
        remedy="add it again as the owner, as `coremachine ddl` prints it; `coremachine audit` then looks at the rows",
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
        remedy="mend the function; then `coremachine resume JOB`",
        handler="coremachine.runtime.flow.open_stage:open_stage",
    ),
    GapHandled(
        id="GAP-28",
        severity="high",
        gap="a message grows over the limit of its bus",
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
