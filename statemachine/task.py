"""`@task`: a plain function, and how it is to be run."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from .errors import DefinitionError
from .retry import Backoff
from .signature import Signature, signature_of

P = ParamSpec("P")
R = TypeVar("R")
Isolation = Literal["thread", "process", "loop"]


@dataclass(frozen=True)
class TaskOptions:
    """How a task is run: attempts after the first, seconds an attempt may take, where it runs, when it is retried.

    `queue` is the broker queue of its messages, if they have a separate one.
    """

    retries: int = 0
    timeout: float | None = None
    isolation: Isolation = "thread"
    backoff: Backoff = field(default_factory=Backoff)
    max_rescues: int = 3
    queue: str | None = None

    def __post_init__(self) -> None:
        if self.retries < 0 or self.max_rescues < 0:
            raise DefinitionError(f"retries and max_rescues count from 0, not {self.retries} and {self.max_rescues}")
        if self.timeout is not None and self.timeout <= 0:
            raise DefinitionError(f"a timeout is a positive number of seconds, not {self.timeout}")


class Task(Generic[P, R]):
    """A handler: calling it calls the function, with no database and no worker.

    `name` is its task type, by which workers claim it: the function's name, unless `@task(name=…)` sets
    another.
    """

    def __init__(self, function: Callable[P, R], name: str, options: TaskOptions) -> None:
        update_wrapper(self, function)
        self.function = function
        self.name = name
        self.options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, as a unit test would."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    @cached_property
    def signature(self) -> Signature:
        """What the function takes."""
        return signature_of(self.function)


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
    process: bool = False,
    backoff: Backoff | None = None,
    max_rescues: int = 3,
    queue: str | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(  # noqa: PLR0913 - each option is a separate parameter
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    timeout: float | None = None,
    process: bool = False,
    backoff: Backoff | None = None,
    max_rescues: int = 3,
    queue: str | None = None,
) -> Any:
    """Make a function, sync or async, a handler.

    `retries` counts attempts after the first; `timeout` is in seconds for each attempt. A sync function runs in a
    thread, which cannot be killed; with `process=True` it runs in a child process, which is killed on timeout and
    when its worker dies. An async function runs on the worker's event loop. `queue` names the broker queue of its
    messages, if they are to go to separate workers; on the PostgreSQL bus it has no effect.

        @task(retries=3, timeout=600)
        def hillshade(window: dict) -> dict: ...

    Raises DefinitionError for options that make no sense and signatures that no job could call.
    """

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        asynchronous = inspect.iscoroutinefunction(function)
        if asynchronous and process:
            raise DefinitionError(f"{function.__qualname__}: an async function cannot run in a child process")
        isolation: Isolation = "loop" if asynchronous else "process" if process else "thread"
        options = TaskOptions(retries, timeout, isolation, backoff or Backoff(), max_rescues, queue)
        made = Task(function, name or function.__name__, options)
        _ = made.signature
        return made

    return decorate if function is None else decorate(function)
