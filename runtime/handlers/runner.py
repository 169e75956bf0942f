"""Runs a claimed task's handler where it belongs and says what became of it."""

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from ...statemachine.context import TaskCancelledError, TaskContext, Tell
from ...statemachine.results import ResultError, json_text
from ...statemachine.task import Task
from ..flow.calls import arguments
from ..flow.outcome import Outcome
from ..flow.outputs import results_of
from ..store.database import Database
from ..store.rows import ClaimedTask, StageRow
from ..store.text import cleaned, error_data
from .children import ChildCall, Children
from .coroutines import awaited
from .errors import ArgumentError, HandlerError, HandlerTimeoutError
from .facts import Facts, JobFacts
from .telling import Telling
from .threads import Threads


@dataclass(frozen=True, slots=True)
class Prepared:
    """A handler and what it is to be called with: its input, where `fed` one, and job parameters by name."""

    handler: Task[..., Any]
    parameters: Mapping[str, object]
    timeout: float | None
    fed: bool
    value: object

    def as_json(self) -> dict[str, object]:
        """The arguments as JSON values, for a child that converts them itself."""
        first, named = self.handler.signature.split(fed=self.fed, where=self.handler.name)
        given = {} if first is None else {first.name: self.value}
        return given | {one.name: self.parameters[one.name] for one in named if one.name in self.parameters}

    def converted(self) -> dict[str, object]:
        """The arguments as the handler's annotations want them. Raises ArgumentError."""
        try:
            return arguments(self.handler.signature, self.parameters, fed=self.fed, value=self.value)
        except (ValidationError, KeyError) as error:
            raise ArgumentError(self.handler.name, str(error)) from error


class Runner:
    """Runs handlers: async ones on the loop, sync ones in threads, or in child processes where the task says so."""

    def __init__(self, database: Database, tasks: Mapping[str, Task[..., Any]], concurrency: int) -> None:
        self._database = database
        self._tasks = tasks
        self._facts = Facts(database)
        self._threads = Threads(concurrency)
        self._calls = Threads(concurrency)
        self._children = Children(concurrency)

    async def run(self, task: ClaimedTask, context: TaskContext) -> Outcome:
        """Run the handler of `task` and return the outcome; never raises but for cancellation."""
        started = time.monotonic()
        try:
            prepared = await self._prepare(task, context)
        except (psycopg.Error, PoolTimeout) as error:
            return _ended(task, "released", started, reason=f"its input could not be read: {cleaned(str(error))}")
        context.tell = telling = Telling(context.tell)
        try:
            context.raise_if_cancelled()  # asked to stop while it waited for its place
            result = await self._result(prepared, context)
        except TaskCancelledError:
            return _ended(task, "cancelled", started)
        except (ResultError, ArgumentError) as error:
            return _ended(task, "failed", started, error=error_data(error), retryable=False)
        except HandlerError as error:
            return _ended(task, "failed", started, error=error.data, retryable=error.retryable)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its task's outcome
            return _ended(task, "failed", started, error=error_data(error))
        finally:
            telling.end()
        return _ended(task, "completed", started, result=result)

    async def call(self, function: Callable[..., Any], given: Mapping[str, object]) -> Any:
        """Call a job's own function (fan-out, finalizer, callback), sync in a thread, async on the loop."""
        if inspect.iscoroutinefunction(function):
            return await awaited(function, given)
        return await self._calls.run(lambda: function(**given))

    async def close(self) -> None:
        """Kill the child processes and let idle threads end."""
        self._threads.close()
        self._calls.close()
        await self._children.close()

    async def _prepare(self, task: ClaimedTask, context: TaskContext) -> Prepared:
        handler = self._tasks[task.task_type]
        facts = await self._facts.of(task)
        stage = facts.stages[task.stage_id]
        context.stage = stage.name
        fed, value = await self._input(task, stage, facts)
        return Prepared(handler, facts.parameters, stage.definition["timeout"], fed, value)

    async def _result(self, prepared: Prepared, context: TaskContext) -> str:
        handler, timeout = prepared.handler, prepared.timeout
        if handler.options.isolation == "process":
            call = ChildCall.of(handler, prepared.as_json(), context)
            return await self._children.run(call, timeout=timeout, context=context)
        given = prepared.converted()
        if handler.signature.context is not None:
            given[handler.signature.context] = context
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                returned = await self._returned(handler, given)
        except TimeoutError:
            if timeout is None or not limit.expired():
                raise
            context.ask_to_stop("its time is over")
            raise HandlerTimeoutError(timeout) from None
        return json_text(returned)

    async def _returned(self, handler: Task[..., Any], given: dict[str, object]) -> Any:
        if handler.options.isolation == "loop":
            return await awaited(handler.function, given)
        return await self._threads.run(lambda: handler.function(**given))

    async def _input(self, task: ClaimedTask, stage: StageRow, facts: JobFacts) -> tuple[bool, Any]:
        kind = stage.definition["kind"]
        if kind == "single":
            return False, None
        if kind == "each":
            return True, task.item
        async with self._database.session() as session:
            results = await results_of(session, facts.source_of(stage))
        return True, results if kind == "gather" else results[0]


def context_of(task: ClaimedTask, tell: Tell) -> TaskContext:
    """The context that a handler of `task` is given."""
    return TaskContext(
        job_id=task.job_id,
        task_id=task.key,
        index=task.task_index,
        attempt=task.attempt,
        lease_number=task.lease_number,
        tell=tell,
    )


def _ended(task: ClaimedTask, kind: Any, started: float, **more: Any) -> Outcome:
    return Outcome(task=task, kind=kind, duration_ms=round((time.monotonic() - started) * 1000), **more)
