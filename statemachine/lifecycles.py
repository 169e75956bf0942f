"""The lifecycles of CoreMachine itself. No other place lists a state, an event type or a legal move."""

from .gaps import GAP_1, GAP_2, GAP_3, GAP_4, GAP_5, GAP_6, GAP_7
from .lifecycle import Event, Lifecycle, NoteType, State, Transition

JOB = Lifecycle(
    "job",
    states=(
        State(name="queued", initial=True, waits_for="message", deadline="due_at"),
        State(name="processing", waits_for="an open stage or a message"),
        State(name="completed", terminal=True),
        State(name="failed", terminal=True, failure=True),
        State(name="cancelled", terminal=True, failure=True),
    ),
    transitions=(
        Transition(trigger="start", sources=("queued",), target="processing", event=Event("job_started")),
        Transition(
            trigger="complete",
            sources=("processing",),
            target="completed",
            event=Event("job_completed"),
            gap_checks=(GAP_6,),
        ),
        Transition(
            trigger="fail",
            sources=("queued", "processing"),
            target="failed",
            event=Event("job_failed", "failure"),
            gap_checks=(GAP_3,),
        ),
        Transition(
            trigger="cancel",
            sources=("queued", "processing"),
            target="cancelled",
            event=Event("job_cancelled", "warning"),
        ),
        Transition(
            trigger="resume",
            sources=("failed", "cancelled"),
            target="queued",
            event=Event("job_resumed", "warning"),
        ),
    ),
    created=Event("job_created"),
    text="Runs its stages in order. Between stages it stays processing.",
)

STAGE = Lifecycle(
    "stage",
    states=(
        State(name="pending", initial=True, waits_for="its job"),
        State(name="processing", waits_for="its tasks"),
        State(name="completed", terminal=True),
        State(name="failed", terminal=True, failure=True),
        State(name="cancelled", terminal=True, failure=True),
    ),
    transitions=(
        Transition(trigger="open", sources=("pending",), target="processing", event=Event("stage_started")),
        Transition(
            trigger="complete",
            sources=("processing",),
            target="completed",
            event=Event("stage_completed"),
            gap_checks=(GAP_2,),
        ),
        Transition(
            trigger="fail",
            sources=("processing",),
            target="failed",
            event=Event("stage_failed", "failure"),
            gap_checks=(GAP_2,),
        ),
        Transition(
            trigger="cancel",
            sources=("processing",),
            target="cancelled",
            event=Event("stage_cancelled", "warning"),
            gap_checks=(GAP_2,),
        ),
        Transition(
            trigger="skip",
            sources=("pending",),
            target="cancelled",
            event=Event("stage_cancelled", "warning"),
            text="The job ended before this stage was opened.",
        ),
        Transition(
            trigger="resume",
            sources=("failed", "cancelled"),
            target="pending",
            event=Event("stage_resumed", "warning"),
        ),
    ),
    text="Fans out into tasks. Its last task closes it, in its own transaction.",
)

TASK = Lifecycle(
    "task",
    states=(
        State(name="queued", initial=True, waits_for="message", deadline="due_at"),
        State(name="processing", leased=True, deadline="lease_expires_at"),
        State(name="completed", terminal=True),
        State(name="failed", terminal=True, failure=True),
        State(name="cancelled", terminal=True, failure=True),
    ),
    transitions=(
        Transition(trigger="claim", sources=("queued",), target="processing", event=Event("task_started")),
        Transition(
            trigger="complete",
            sources=("processing",),
            target="completed",
            event=Event("task_completed"),
            gap_checks=(GAP_1, GAP_5),
        ),
        Transition(
            trigger="fail",
            sources=("processing",),
            target="failed",
            event=Event("task_failed", "failure"),
            gap_checks=(GAP_1,),
        ),
        Transition(
            trigger="cancel",
            sources=("queued", "processing"),
            target="cancelled",
            event=Event("task_cancelled", "warning"),
        ),
        Transition(
            trigger="retry",
            sources=("processing",),
            target="queued",
            event=Event("task_retry_scheduled", "warning"),
            gap_checks=(GAP_1, GAP_4),
        ),
        Transition(
            trigger="release",
            sources=("processing",),
            target="queued",
            event=Event("task_released", "warning"),
            gap_checks=(GAP_1,),
            text="A worker that shuts down returns the task. Does not count as an attempt.",
        ),
        Transition(
            trigger="rescue",
            sources=("processing",),
            target="queued",
            event=Event("task_rescued", "warning"),
            gap_checks=(GAP_1,),
            text="The lease expired. Counts as a rescue, not as an attempt.",
        ),
        Transition(
            trigger="resume",
            sources=("failed", "cancelled"),
            target="queued",
            event=Event("task_resumed", "warning"),
        ),
    ),
    text="One call of a handler. An attempt counts towards retries; a lease number fences.",
)

CALLBACK = Lifecycle(
    "callback",
    states=(
        State(name="queued", initial=True, waits_for="message", deadline="due_at"),
        State(name="processing", leased=True, deadline="lease_expires_at"),
        State(name="completed", terminal=True),
        State(name="failed", terminal=True, failure=True),
    ),
    transitions=(
        Transition(trigger="claim", sources=("queued",), target="processing", event=Event("callback_started", "info")),
        Transition(
            trigger="complete",
            sources=("processing",),
            target="completed",
            event=Event("callback_completed", "info"),
            gap_checks=(GAP_1,),
        ),
        Transition(
            trigger="fail",
            sources=("processing",),
            target="failed",
            event=Event("callback_failed", "failure"),
            gap_checks=(GAP_1, GAP_7),
        ),
        Transition(
            trigger="retry",
            sources=("processing",),
            target="queued",
            event=Event("callback_retry_scheduled", "warning"),
            gap_checks=(GAP_1, GAP_4, GAP_7),
        ),
        Transition(
            trigger="release",
            sources=("processing",),
            target="queued",
            event=Event("callback_released", "warning"),
            gap_checks=(GAP_1,),
        ),
        Transition(
            trigger="rescue",
            sources=("processing",),
            target="queued",
            event=Event("callback_rescued", "warning"),
            gap_checks=(GAP_1,),
        ),
    ),
    text="What runs after a job has completed. Its failure never changes the job.",
)

LIFECYCLES = (JOB, STAGE, TASK, CALLBACK)

JOB_QUEUED = NoteType("job_queued")
CALLBACK_EXECUTED = NoteType("callback_executed")
CHECKPOINT = NoteType("checkpoint")
PROGRESS = NoteType("progress")
FINALIZER_FAILED = NoteType("finalizer_failed")
STAGE_EMPTY = NoteType("stage_empty")
STOP_REQUESTED = NoteType("stop_requested")
STALE_RESULT_REJECTED = NoteType("stale_result_rejected")
MESSAGE_DEAD_LETTERED = NoteType("message_dead_lettered")
GAP_FOUND = NoteType("gap_found")

NOTES = (
    Event(JOB_QUEUED),
    Event(CALLBACK_EXECUTED),
    Event(CALLBACK_EXECUTED, "failure"),
    Event(CHECKPOINT, "info"),
    Event(PROGRESS, "info"),
    Event(FINALIZER_FAILED, "warning"),
    Event(STAGE_EMPTY, "warning"),
    Event(STOP_REQUESTED, "warning"),
    Event(STALE_RESULT_REJECTED, "warning"),
    Event(MESSAGE_DEAD_LETTERED, "warning"),
    Event(GAP_FOUND, "warning"),
)
"""Events that record an action, not a change of state, one for each status they may have. Replay skips them."""

HEADLINES = (
    "job_created",
    "job_queued",
    "stage_started",
    "task_started",
    "task_completed",
    "task_failed",
    "stage_completed",
    "job_completed",
    "job_failed",
    "callback_executed",
)
"""The event types that the default timeline shows; of the others it shows only warnings."""
