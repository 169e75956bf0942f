"""The records of CoreMachine: jobs, stages, tasks and callbacks, each tied to its lifecycle."""

from .changes import Change, Difference
from .lifecycles import CALLBACK, JOB, JOB_QUEUED, STAGE, TASK
from .queue import Queue, ReturnedChildren
from .records import Check, Column, EventLog, Index, Parent, Record, Schema, StateColumn

JOB_EVENTS = "job_events"
STOP_REASONS = ("cancel", "fail_fast", "deadline")
"""Why running tasks may be asked to stop: their job is cancelled, a sibling failed, or the job is overdue."""
OPEN, ENDED = TASK.open_states, TASK.ended_states
"""Those of tasks and of jobs, which have the same names."""

QUEUE_STORAGE = (
    "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,"
    " autovacuum_analyze_scale_factor = 0.05"
)

LEASE = (
    Column(name="lease_owner", type="VARCHAR(100)", nullable=True, text="the worker that holds the row"),
    Column(name="lease_number", type="INT", default="0", text="rises with every claim, and fences"),
    Column(name="send_number", type="INT", default="0", text="how often its message was sent since the last claim"),
    Column(name="lease_expires_at", type="TIMESTAMPTZ", nullable=True),
    Column(name="due_at", type="TIMESTAMPTZ", nullable=True, default="{schema}.clock()", text="when it may be claimed"),
)
ATTEMPTS = (
    Column(name="attempt", type="INT", default="1", text="counts towards retries"),
    Column(name="max_attempts", type="INT", default="1"),
    Column(name="rescues", type="INT", default="0", text="leases that expired"),
    Column(name="max_rescues", type="INT", default="3", immutable=True),
    Column(name="timeout", type="INTERVAL", nullable=True, immutable=True),
    Column(name="deadline_at", type="TIMESTAMPTZ", nullable=True, text="when the current attempt must have ended"),
)
TIMES = (
    Column(name="started_at", type="TIMESTAMPTZ", nullable=True),
    Column(name="finished_at", type="TIMESTAMPTZ", nullable=True),
)
LEASE_COLUMNS_BY_STATE = (
    StateColumn(column="due_at", required=("queued",), after="delay"),
    StateColumn(column="lease_owner", required=("processing",)),
    StateColumn(column="lease_expires_at", required=("processing",), after="lease"),
    StateColumn(column="deadline_at", allowed=("processing",), plus_interval="timeout"),
)
ATTEMPT_CHECKS = (
    Check(name="attempts", expression="attempt BETWEEN 1 AND max_attempts"),
    Check(name="rescues_counted", expression="rescues BETWEEN 0 AND max_rescues"),
)
LEASE_COUNTS = {"claim": ("lease_number",), "retry": ("attempt",), "rescue": ("rescues",)}
LEASE_RESETS = {"claim": ("send_number",)}
"""Only a claim, which also raises the lease number, so that both together never name two messages of one row."""

JOBS = Record(
    lifecycle=JOB,
    table="jobs",
    key=Column(name="job_id", type="VARCHAR(64)", check="job_id ~ '^[0-9a-f]{64}$'"),
    columns=(
        Column(name="job_type", type="VARCHAR(100)", immutable=True),
        Column(name="parameters", type="JSON", default="'{}'", immutable=True),
        Column(
            name="submission_key",
            type="VARCHAR(200)",
            nullable=True,
            immutable=True,
            text="distinguishes runs of the same work",
        ),
        Column(
            name="definition",
            type="JSONB",
            default="'{}'",
            immutable=True,
            text="the job's shape, fixed when it was submitted",
        ),
        Column(name="stage_count", type="INT", check="stage_count >= 1", immutable=True),
        Column(name="stages_open", type="INT", default="0", counted=True, text="stages that have not ended"),
        Column(name="stages_completed", type="INT", default="0", counted=True),
        Column(
            name="tasks_total", type="INT", default="0", counted=True, text="tasks created so far, for their numbers"
        ),
        Column(name="result", type="JSON", nullable=True),
        Column(name="error", type="JSONB", nullable=True, check="jsonb_typeof(error) = 'object'"),
        Column(
            name="message_failures",
            type="INT",
            nullable=True,
            text="consecutive failures to handle its message",
        ),
        Column(
            name="deadline",
            type="INTERVAL",
            nullable=True,
            immutable=True,
            text="how long the job may take, from submission or resume",
        ),
        Column(name="deadline_at", type="TIMESTAMPTZ", nullable=True, text="when the job fails unless it has ended"),
        *LEASE,
        *TIMES,
    ),
    log=EventLog(table=JOB_EVENTS, copied_columns=("job_id",)),
    state_columns=(
        StateColumn(column="due_at", required=("queued",), allowed=("processing",), after="delay"),
        StateColumn(column="lease_owner", allowed=OPEN),
        StateColumn(column="lease_expires_at", allowed=OPEN),
        StateColumn(
            column="started_at",
            required=("processing", "completed"),
            allowed=("queued", "failed", "cancelled"),
            clock=True,
        ),
        StateColumn(column="finished_at", required=ENDED, clock=True),
        StateColumn(column="result", required=("completed",)),
        StateColumn(column="error", required=("failed",)),
        StateColumn(column="deadline_at", allowed=OPEN, plus_interval="deadline"),
        StateColumn(column="message_failures", allowed=OPEN),
    ),
    clears={"start": ("due_at", "lease_owner", "lease_expires_at", "message_failures")},
    checks=(
        Check(name="message_lease", expression="(lease_owner IS NULL) = (lease_expires_at IS NULL)"),
        Check(
            name="deadline_set",
            expression="deadline IS NULL OR deadline_at IS NOT NULL OR status NOT IN ('queued', 'processing')",
        ),
        Check(name="stages_counted", expression="stages_open + stages_completed <= stage_count"),
        Check(name="ended_when_counted", expression="status IN ('queued', 'processing') OR stages_open = 0"),
        Check(name="completed_whole", expression="status <> 'completed' OR stages_completed = stage_count"),
    ),
    indexes=(
        Index(name="jobs_due", columns=("job_type", "due_at"), where="due_at IS NOT NULL"),
        Index(name="jobs_under_way", columns=("job_id",), where="status = 'processing'"),
        Index(name="jobs_with_deadline", columns=("deadline_at",), where="deadline_at IS NOT NULL"),
        Index(name="jobs_recent", columns=("created_at", "job_id")),
    ),
    queue=Queue(
        name="job",
        by="job_type",
        order=("due_at",),
        claim=None,
        returns=(
            "job_id",
            "job_type",
            "lease_number",
            "status",
            "parameters",
            "definition",
            "stage_count",
            "tasks_total",
        ),
        children=ReturnedChildren(
            table="stages",
            key="job_id",
            order="stage",
            columns=(
                "stage_id",
                "job_id",
                "stage",
                "name",
                "task_type",
                "status",
                "definition",
                "tasks_total",
                "tasks_open",
                "tasks_completed",
                "tasks_failed",
                "tasks_cancelled",
                "stop_reason",
                "stop_why",
            ),
        ),
        failures="message_failures",
        first_sent=JOB_QUEUED,
    ),
    changes=(),
    bounded=True,
    storage=QUEUE_STORAGE,
)

STAGES = Record(
    lifecycle=STAGE,
    table="stages",
    key=Column(name="stage_id", type="BIGINT", identity=True),
    columns=(
        Column(name="job_id", type="VARCHAR(64)", references="jobs(job_id)", immutable=True),
        Column(name="stage", type="INT", check="stage >= 1", immutable=True, text="counted from 1"),
        Column(name="name", type="VARCHAR(100)", immutable=True),
        Column(name="task_type", type="VARCHAR(100)", immutable=True),
        Column(name="definition", type="JSONB", default="'{}'", immutable=True),
        Column(name="tasks_total", type="INT", default="0", counted=True),
        Column(name="tasks_open", type="INT", default="0", counted=True, text="tasks that have not ended"),
        Column(name="tasks_completed", type="INT", default="0", counted=True),
        Column(name="tasks_failed", type="INT", default="0", counted=True),
        Column(name="tasks_cancelled", type="INT", default="0", counted=True),
        Column(name="stop_reason", type="VARCHAR(20)", nullable=True, text="why running tasks were asked to stop"),
        Column(name="stop_why", type="TEXT", nullable=True, text="the reason in words, for the events of its end"),
        Column(name="stopped_at", type="TIMESTAMPTZ", nullable=True, text="when running tasks were asked to stop"),
        Column(name="error", type="JSONB", nullable=True, check="jsonb_typeof(error) = 'object'"),
        *TIMES,
    ),
    log=EventLog(table=JOB_EVENTS, copied_columns=("job_id", "stage"), identified_by=("job_id", "stage")),
    state_columns=(
        StateColumn(
            column="started_at", required=("processing", "completed", "failed"), allowed=("cancelled",), clock=True
        ),
        StateColumn(column="finished_at", required=ENDED, clock=True),
        StateColumn(column="error", required=("failed",)),
        StateColumn(column="stop_reason", allowed=("processing",)),
        StateColumn(column="stop_why", allowed=("processing",)),
        StateColumn(column="stopped_at", allowed=("processing",)),
    ),
    checks=(
        Check(
            name="counters_add_up",
            expression="tasks_open + tasks_completed + tasks_failed + tasks_cancelled = tasks_total",
        ),
        Check(name="closed_when_counted", expression="status = 'processing' OR tasks_open = 0"),
        Check(name="completed_whole", expression="status <> 'completed' OR tasks_completed = tasks_total"),
    ),
    indexes=(
        Index(name="stages_in_order", columns=("job_id", "stage"), unique=True),
        Index(name="stages_open", columns=("stage_id",), where="status = 'processing'"),
        Index(name="stages_by_name", columns=("job_id", "name"), unique=True),
    ),
    parent=Parent(
        table="jobs",
        key="job_id",
        counts={"stages_open": STAGE.open_states, "stages_completed": ("completed",)},
        sums={"tasks_total": "tasks_total"},
    ),
    changes=(
        Change(
            name="stop",
            states=("processing",),
            columns={
                "stop_reason": Difference(
                    "%(stop_reason)s",
                    f"({' OR '.join(f'{{new}} = {reason!r}' for reason in STOP_REASONS)})",
                    f"one of {', '.join(STOP_REASONS)}",
                ),
                "stop_why": Difference("%(stop_why)s", "TRUE", "the same in words"),
                "stopped_at": Difference(
                    "COALESCE(r.stopped_at, n.moment)",
                    "({new} = {old} OR {old} IS NULL AND {new} <= {schema}.clock())",
                    "the time of the first request",
                ),
            },
            text="Running tasks are asked to stop.",
        ),
    ),
    bounded=True,
    storage="fillfactor = 70",
)

TASKS = Record(
    lifecycle=TASK,
    table="tasks",
    key=Column(name="task_id", type="VARCHAR(64)", text="stage id and index: unique by construction"),
    columns=(
        Column(name="job_id", type="VARCHAR(64)", immutable=True),
        Column(name="stage_id", type="BIGINT", references="stages(stage_id)", immutable=True),
        Column(name="stage", type="INT", immutable=True),
        Column(name="task_index", type="INT", check="task_index >= 0", immutable=True, text="the order of its result"),
        Column(name="task_number", type="INT", check="task_number >= 1", immutable=True, text="counts the job's tasks"),
        Column(name="task_type", type="VARCHAR(100)", immutable=True),
        Column(name="item", type="JSON", nullable=True, immutable=True, text="this task's item of the fan-out"),
        Column(name="result", type="JSON", nullable=True),
        Column(name="error", type="JSONB", nullable=True, check="jsonb_typeof(error) = 'object'"),
        *LEASE,
        *ATTEMPTS,
        *TIMES,
    ),
    log=EventLog(
        table=JOB_EVENTS, copied_columns=("job_id", "task_id", "stage", "lease_number"), copied_before=("attempt",)
    ),
    state_columns=(
        *LEASE_COLUMNS_BY_STATE,
        StateColumn(
            column="started_at",
            required=("processing", "completed", "failed"),
            allowed=("queued", "cancelled"),
            clock=True,
        ),
        StateColumn(column="finished_at", required=ENDED, clock=True),
        StateColumn(column="result", required=("completed",)),
        StateColumn(column="error", required=("failed",)),
    ),
    checks=ATTEMPT_CHECKS,
    indexes=(
        Index(name="tasks_in_order", columns=("stage_id", "task_index"), unique=True),
        Index(name="tasks_due", columns=("task_type", "due_at", "task_number"), where="status = 'queued'"),
        Index(name="tasks_leased", columns=("lease_expires_at",), where="status = 'processing'"),
    ),
    adds={"resume": ("max_attempts",)},
    counts={**LEASE_COUNTS, "resume": ("attempt",)},
    resets={**LEASE_RESETS, "resume": ("rescues",)},
    fencing_column="lease_number",
    queue=Queue(
        name="task",
        label="task_id",
        by="task_type",
        order=("due_at", "task_number"),
        returns=(
            "job_id",
            "stage_id",
            "stage",
            "task_index",
            "task_number",
            "task_type",
            "item",
            "attempt",
            "max_attempts",
            "lease_number",
            "lease_owner",
            "deadline_at",
            "rescues",
            "max_rescues",
        ),
        handler_deadline="deadline_at",
        stop="stop_reason",
    ),
    parent=Parent(
        table="stages",
        key="stage_id",
        counts={
            "tasks_total": (),
            "tasks_open": OPEN,
            "tasks_completed": ("completed",),
            "tasks_failed": ("failed",),
            "tasks_cancelled": ("cancelled",),
        },
        same=("job_id", "stage", "task_type"),
    ),
    changes=(),
    bounded=True,
    storage=QUEUE_STORAGE,
)

CALLBACKS = Record(
    lifecycle=CALLBACK,
    table="callbacks",
    key=Column(name="callback_id", type="BIGINT", identity=True),
    columns=(
        Column(name="job_id", type="VARCHAR(64)", references="jobs(job_id)", immutable=True),
        Column(name="job_type", type="VARCHAR(100)", immutable=True),
        Column(name="name", type="VARCHAR(100)", immutable=True),
        *LEASE,
        *ATTEMPTS,
        *TIMES,
    ),
    log=EventLog(
        table=JOB_EVENTS,
        copied_columns=("job_id", "lease_number"),
        copied_before=("attempt",),
        identified_by=("job_id",),
    ),
    state_columns=(
        *LEASE_COLUMNS_BY_STATE,
        StateColumn(
            column="started_at", required=("processing", "completed", "failed"), allowed=("queued",), clock=True
        ),
        StateColumn(column="finished_at", required=CALLBACK.ended_states, clock=True),
    ),
    checks=ATTEMPT_CHECKS,
    indexes=(
        Index(name="callbacks_once", columns=("job_id", "name"), unique=True),
        Index(name="callbacks_due", columns=("job_type", "due_at", "callback_id"), where="status = 'queued'"),
        Index(name="callbacks_leased", columns=("lease_expires_at",), where="status = 'processing'"),
    ),
    counts=LEASE_COUNTS,
    resets=LEASE_RESETS,
    fencing_column="lease_number",
    queue=Queue(
        name="callback",
        label="name",
        by="job_type",
        order=("due_at", "callback_id"),
        returns=(
            "job_id",
            "job_type",
            "name",
            "attempt",
            "max_attempts",
            "lease_number",
            "lease_owner",
            "rescues",
            "max_rescues",
        ),
    ),
    parent=Parent(table="jobs", key="job_id", same=("job_type",), states=("completed",)),
    changes=(),
    bounded=True,
    storage=QUEUE_STORAGE,
)

SCHEMA = Schema((JOBS, STAGES, TASKS, CALLBACKS))
QUEUES = {record.queue.name: record for record in (JOBS, TASKS, CALLBACKS) if record.queue is not None}
"""The records whose rows wait for workers, by the name of their messages."""
