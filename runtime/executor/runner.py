"""Runs async handlers on the event loop, and sync handlers in child processes if their task declares it.

Other sync handlers run in threads (`thread_pool`).
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ...statemachine.results import json_text
from ...statemachine.task import Task
from ..flow.outcome import Outcome
from ..flow.outputs import results_of
from ..store.database import Database
from .call import Call
from .children import ChildCall, Children
from .coroutines import awaited
from .errors import HandlerTimeoutError
from .function_threads import FunctionThreads
from .job_cache import JobCache, Plan


class Runner:
    """Sets the plan and input of calls, and runs those that do not run in a thread."""

    def __init__(self, database: Database, tasks: Mapping[str, Task[..., Any]], concurrency: int) -> None:
        self._database = database
        self._tasks = tasks
        self.job_cache = JobCache(database)
        self._calls = FunctionThreads(concurrency)
        self._children = Children(concurrency)

    def ready(self, call: Call) -> bool:
        """Set the plan and input of `call` if nothing has to be read for them. Returns whether they are set."""
        job = self.job_cache.known(call.task.job_id)
        if job is None:
            return False
        plan = job.plan(call.task, self._tasks)
        if plan.source is not None:
            return False
        call.plan, call.value = plan, call.task.item
        return True

    async def prepare(self, call: Call) -> None:
        """Set the plan and input of `call`. Raises psycopg.Error and PoolTimeout if they cannot be read."""
        job = await self.job_cache.of(call.task.job_id)
        call.plan = job.plan(call.task, self._tasks)
        call.value = await self._input(call)

    async def run(self, call: Call) -> Outcome:
        """Run a handler on the loop or in a child process; raises only on cancellation."""
        try:
            call.raise_if_stopped()  # asked to stop while it waited for a slot
            outcome = call.completed(await self._result(call))
        except Exception as error:  # noqa: BLE001 - any error of a handler is its task's outcome
            outcome = call.failed(error)
        finally:
            call.flush_progress()
        return outcome

    async def call(self, function: Callable[..., Any], given: Mapping[str, object]) -> Any:
        """Call a job's own function (fan-out, finalizer, callback), sync in a thread, async on the loop."""
        if inspect.iscoroutinefunction(function):
            return await awaited(function, given)
        return await self._calls.run(lambda: function(**given))

    async def close(self) -> None:
        """Kill the child processes and let idle threads end."""
        self._calls.close()
        await self._children.close()

    async def _result(self, call: Call) -> str:
        plan = call.plan
        if plan.handler.options.isolation == "process":
            context = call.context()
            child = ChildCall.of(plan.handler, plan.as_json(call.value), context)
            return await self._children.run(child, timeout=plan.timeout, context=context)
        limit = asyncio.timeout(plan.timeout)
        try:
            async with limit:
                returned = await awaited(plan.handler.function, call.arguments())
        except TimeoutError:
            if plan.timeout is None or not limit.expired():
                raise
            call.ask_to_stop("its timeout has passed")
            raise HandlerTimeoutError(plan.timeout) from None
        return json_text(returned)

    async def _input(self, call: Call) -> object:
        plan: Plan = call.plan
        if plan.source is None:
            return call.task.item
        async with self._database.session() as session:
            results = await results_of(session, plan.source)
        return results if plan.stage.definition.kind == "gather" else results[0]
