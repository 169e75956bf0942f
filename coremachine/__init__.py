"""CoreMachine: pipelines of jobs, stages and tasks on PostgreSQL, in which no failure is silent.

    from coremachine import CoreMachine, Job, Stage, task

Declare handlers with `@task`, their order with `Job` and `Stage`, and run them with `CoreMachine`. Your application
declares a lifecycle as a `Lifecycle`, and its table as a `coremachine.statemachine.Record`.
"""

from typing import TYPE_CHECKING

from .statemachine import (
    CoreMachineError,
    Event,
    Job,
    Lifecycle,
    Stage,
    State,
    Task,
    TaskContext,
    Transition,
    task,
)

if TYPE_CHECKING:
    from .runtime.app import AsyncCoreMachine, CoreMachine

__all__ = [
    "AsyncCoreMachine",
    "CoreMachine",
    "CoreMachineError",
    "Event",
    "Job",
    "Lifecycle",
    "Stage",
    "State",
    "Task",
    "TaskContext",
    "Transition",
    "task",
]


def __getattr__(name: str) -> object:
    """The application is imported when it is first used: a handler's own process needs no database driver."""
    if name in {"AsyncCoreMachine", "CoreMachine"}:
        from .runtime import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
