"""The answer to a COMMIT is lost: what was committed is not taken for refused, and is not done again."""

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


def tell(job_id: str) -> None:
    assert job_id


NOTED = Job("noted", [Stage("note", note_twice, each="numbers")], on_job_complete=tell)


class Deaf(Proxy):
    """Loses the answer to every other COMMIT, which is carried out, and the connection with it."""

    lost = 0
    commits = 0

    def _fate(self, request: Request) -> Fate:
        if not self._armed or not request.words.startswith("COMMIT"):
            return "passes"
        self.commits += 1
        if not self.commits % 2:
            return "passes"
        self.lost += 1
        return "answer lost"


async def test_gap_1_an_outcome_whose_commit_was_not_answered_is_told_once(url: str, open_app: OpenApp) -> None:
    looking_on = await open_app(NOTED)
    submitted = await looking_on.submit(NOTED, numbers=[1, 2, 3])
    quick = Settings(poll=0.1, concurrency=1, prefetch=0)
    async with Deaf(url) as proxy, AsyncCoreMachine(proxy.url, jobs=[NOTED], settings=quick) as app:
        proxy.arm(0, str)  # the other connections stay
        await work(app)
        assert proxy.lost >= FEWEST
    told = await counted_events(looking_on, submitted.id)
    notes = await events_of(looking_on, submitted.id, "checkpoint")
    by_task = Counter((note["task_id"], note["event_data"]["name"]) for note in notes if note["task_id"])
    assert (await looking_on.job(submitted.id))["status"] == "completed"
    assert told["stale_result_rejected"] == 0
    assert (told["task_completed"], told["stage_completed"], told["callback_executed"]) == (3, 1, 1)
    assert sorted(by_task.values()) == [1] * 6
