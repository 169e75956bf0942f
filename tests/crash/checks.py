"""What must hold after a job whose worker was killed or disconnected at any point."""

from collections import Counter
from datetime import UTC
from pathlib import Path

from coremachine import AsyncCoreMachine
from tests.crash.crashing_job import FLAKY, NUMBERS, RESULT
from tests.observing import events_of, rows, tasks_of

AGAIN = frozenset({"task_rescued", "task_released"})
CALLBACK_AGAIN = ("callback_rescued", "callback_released", "callback_retry_scheduled")
ALL_TASKS = len(NUMBERS) + 2
Call = tuple[str, str, int]


LOCKED = "canceling statement due to lock timeout"
"""What the audit rightly reports for a minute after a session that its client had lost held the lock of a row."""


async def problems_after(app: AsyncCoreMachine, job_id: str, lines: Path, *, may_be_locked: bool = False) -> list[str]:
    """What is wrong with the job and with the lines that its handlers wrote; empty if nothing is.

    `may_be_locked` is whether a row that the reconciler could not lock may be among what the audit finds.
    """
    return [
        *await _end_problems(app, job_id),
        *await _task_problems(app, job_id),
        *await _call_problems(app, job_id, _calls(lines)),
        *await _callback_problems(app, job_id, _calls(lines)),
        *await _audit_findings(app, may_be_locked=may_be_locked),
        *await _timeline_problems(app, job_id),
    ]


def _calls(lines: Path) -> Counter[Call]:
    """How often each function was called for which task and attempt."""
    calls = [line.split() for line in lines.read_text().splitlines()] if lines.exists() else []
    return Counter((function, key, int(attempt)) for function, key, attempt in calls)


async def _end_problems(app: AsyncCoreMachine, job_id: str) -> list[str]:
    job = await app.job(job_id)
    stages = [(stage["status"], stage["tasks_total"], stage["tasks_completed"]) for stage in job["stages"]]
    wanted = [("completed", number, number) for number in (1, len(NUMBERS), 1)]
    found: list[str] = []
    if (job["status"], job["result"]) != ("completed", RESULT):
        found.append(f"the job is {job['status']} with {job['result']}, error {job['error']}")
    if stages != wanted:
        found.append(f"the stages are {stages}")
    return found


async def _task_problems(app: AsyncCoreMachine, job_id: str) -> list[str]:
    tasks = await tasks_of(app, job_id)
    completed = Counter(event["task_id"] for event in await events_of(app, job_id, "task_completed"))
    found = [] if len(tasks) == ALL_TASKS else [f"there are {len(tasks)} tasks"]
    for task in tasks:
        completions = completed.pop(task["task_id"], 0)
        if (task["status"], completions) != ("completed", 1):
            found.append(f"task-{task['task_number']:03} is {task['status']} with {completions} task_completed")
        flaky = (task["stage"], task["task_index"]) == (2, FLAKY)
        if task["attempt"] != 1 + flaky:
            found.append(f"task-{task['task_number']:03} ended at attempt {task['attempt']}")
    return found + [f"task_completed {number} times for {key}" for key, number in completed.items()]


async def _call_problems(app: AsyncCoreMachine, job_id: str, calls: Counter[Call]) -> list[str]:
    """Each attempt runs once, and once more each time that it was rescued or released."""
    again = Counter((event["task_id"], event["attempt"]) for event in await events_of(app, job_id, *AGAIN))
    ran = {(key, attempt): number for (_, key, attempt), number in calls.items() if key not in {"-", job_id}}
    wanted = {(task["task_id"], n) for task in await tasks_of(app, job_id) for n in range(1, task["attempt"] + 1)}
    found = [f"attempt {attempt} of {key} never ran" for key, attempt in wanted - ran.keys()]
    found += [f"attempt {attempt} of {key} ran, but is not known" for key, attempt in ran.keys() - wanted]
    found += [
        f"attempt {one[1]} of {one[0]} ran {number} times and was rescued or released {again[one]} times"
        for one, number in ran.items()
        if number > 1 + again[one]
    ]
    return found + [f"{name} never ran" for name in ("spread", "total") if not calls[name, "-", 1]]


async def _callback_problems(app: AsyncCoreMachine, job_id: str, calls: Counter[Call]) -> list[str]:
    callbacks = await rows(app, "SELECT status FROM app.callbacks WHERE job_id = %s", job_id)
    recorded = [event["event_status"] for event in await events_of(app, job_id, "callback_executed")]
    again = len(await events_of(app, job_id, *CALLBACK_AGAIN))
    ran = calls["callback", job_id, 1]
    found: list[str] = []
    if [one["status"] for one in callbacks] != ["completed"] or recorded.count("success") != 1:
        found.append(f"the callbacks are {callbacks}, recorded as {recorded}")
    if not 1 <= ran <= 1 + again:
        found.append(f"the callback ran {ran} times and was rescued, released or retried {again} times")
    return found


async def _audit_findings(app: AsyncCoreMachine, *, may_be_locked: bool) -> list[str]:
    audit = await app.audit()
    return [
        f"audit: {finding.id} {finding.gap}: {example.subject}, {example.detail}"
        for finding in audit.findings
        if finding.severity != "info"
        for example in finding.examples
        if not (may_be_locked and finding.id == "GAP-31" and example.detail.endswith(LOCKED))
    ]


async def _timeline_problems(app: AsyncCoreMachine, job_id: str) -> list[str]:
    """The timeline must show the end, and each rescue and release of a task."""
    timeline = await app.timeline(job_id, tz=UTC)
    again = [event["event_type"] for event in await events_of(app, job_id, *AGAIN)]
    wanted = Counter(["job_completed", "callback_executed", *again])
    return [
        f"the timeline shows {name} {timeline.count(name)} times, not {number}"
        for name, number in wanted.items()
        if timeline.count(name) < number
    ]
