"""The response to a COMMIT is lost: the commit is not treated as failed, and its work is not repeated."""

from collections import Counter

from coremachine import AsyncCoreMachine, Job, Stage, TaskContext, task
from coremachine.runtime.settings import Settings
from tests.crash.proxy import Fate, Proxy, Request
from tests.databases import OpenApp
from tests.observing import counted_events, events_of
from tests.running import work

FEWEST = 3  # half of: a stage, three tasks, the job, the callback


@task
def note_twice(number: int, context: TaskContext) -> int:
    context.checkpoint("begun", number=number)
    context.checkpoint("over", number=number)
    return number


def callback(job_id: str) -> None:
    assert job_id


NOTED = Job("noted", [Stage("note", note_twice, each="numbers")], on_job_complete=callback)


class LostResponseProxy(Proxy):
    """Loses the response to every second COMMIT, which is executed, and then the connection."""

    lost = 0
    commits = 0

    def _fate(self, request: Request) -> Fate:
        if not self._armed or not request.summary.startswith("COMMIT"):
            return "passes"
        self.commits += 1
        if not self.commits % 2:
            return "passes"
        self.lost += 1
        return "response lost"


async def test_gap_1_an_outcome_whose_commit_had_no_response_is_recorded_once(url: str, open_app: OpenApp) -> None:
    observer = await open_app(NOTED)
    submitted = await observer.submit(NOTED, numbers=[1, 2, 3])
    quick = Settings(poll=0.1, concurrency=1, prefetch=0)
    async with LostResponseProxy(url) as proxy, AsyncCoreMachine(proxy.url, jobs=[NOTED], settings=quick) as app:
        proxy.arm(0, str)  # the other connections stay
        await work(app)
        assert proxy.lost >= FEWEST
    counts = await counted_events(observer, submitted.id)
    notes = await events_of(observer, submitted.id, "checkpoint")
    by_task = Counter((note["task_id"], note["event_data"]["name"]) for note in notes if note["task_id"])
    assert (await observer.job(submitted.id))["status"] == "completed"
    assert counts["stale_result_rejected"] == 0
    assert (counts["task_completed"], counts["stage_completed"], counts["callback_executed"]) == (3, 1, 1)
    assert sorted(by_task.values()) == [1] * 6
