"""CoreMachine: pipelines of jobs, stages and tasks on PostgreSQL, in which no failure is silent.

    from coremachine import CoreMachine, Job, Stage, task

Declare handlers with `@task` and their order with `Job` and `Stage`, and run them with `CoreMachine`. What declares
your own lifecycle (`Lifecycle`, `Record`, `GapCheck`, …) is in `coremachine.statemachine`. `__version__` is the
version that is installed.
"""

from typing import TYPE_CHECKING

from .statemachine.context import TaskContext
from .statemachine.errors import CoreMachineError
from .statemachine.job import Job

# 0.1.0 listed these four here; their place is coremachine.statemachine, beside Record
from .statemachine.lifecycle import Event as Event
from .statemachine.lifecycle import Lifecycle as Lifecycle
from .statemachine.lifecycle import State as State
from .statemachine.lifecycle import Transition as Transition
from .statemachine.retry import Backoff
from .statemachine.stage import Stage
from .statemachine.task import Task, task

if TYPE_CHECKING:
    from .runtime.app import AsyncCoreMachine, CoreMachine, Records
    from .runtime.settings import Settings

    __version__: str

__all__ = [
    "AsyncCoreMachine",
    "Backoff",
    "CoreMachine",
    "CoreMachineError",
    "Job",
    "Records",
    "Settings",
    "Stage",
    "Task",
    "TaskContext",
    "task",
]


def __getattr__(name: str) -> object:
    """The application is imported when it is first used: a handler's own process needs no database driver."""
    if name in {"AsyncCoreMachine", "CoreMachine", "Records"}:
        from .runtime import app

        return getattr(app, name)
    if name == "Settings":
        from .runtime.settings import Settings

        return Settings
    if name == "__version__":
        return _installed_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _installed_version() -> str:
    """The version that pyproject.toml gave the installed distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("coremachine")
    except PackageNotFoundError as error:
        raise AttributeError(
            "coremachine is not installed, so its version is unknown; run `pip install -e .`"
        ) from error
