"""What may happen: lifecycles as data, the machines that run them, and the shape of jobs. No input or output.

These are the names with which you declare your own lifecycle and the table of its records:

    from coremachine.statemachine import Column, Event, EventLog, Lifecycle, Record, State, Transition

The names with which you declare a job are in `coremachine`.
"""

import warnings

# 0.1.0 listed these here too; for jobs their place is coremachine, for the built-in lifecycles it is .lifecycles
from .context import TaskContext as TaskContext
from .errors import CoreMachineError as CoreMachineError
from .errors import GapRefusedError
from .gaps import GapCheck
from .job import Job as Job
from .lifecycle import Event, Lifecycle, State, Transition
from .lifecycles import CALLBACK as CALLBACK
from .lifecycles import JOB as JOB
from .lifecycles import STAGE as STAGE
from .lifecycles import TASK as TASK
from .machine import Machine, Subject
from .records import Column, EventLog, Record, StateColumn
from .stage import Stage as Stage
from .task import Task as Task
from .task import task as task

__all__ = [
    "Column",
    "Event",
    "EventLog",
    "GapCheck",
    "GapRefusedError",
    "Lifecycle",
    "Machine",
    "Record",
    "State",
    "StateColumn",
    "Subject",
    "Transition",
]


def __getattr__(name: str) -> object:
    """The name of a class before 0.2, for as long as it is deprecated."""
    if name == "Tie":
        warnings.warn("Tie is now StateColumn", DeprecationWarning, stacklevel=2)
        return StateColumn
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
