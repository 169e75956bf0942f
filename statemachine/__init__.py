"""What may happen: lifecycles as data, the machines that run them, and the shape of jobs. No input or output."""

from .context import TaskContext
from .errors import CoreMachineError
from .job import Job
from .lifecycle import Event, Lifecycle, State, Transition
from .lifecycles import CALLBACK, JOB, STAGE, TASK
from .machine import Machine
from .records import Column, EventLog, Record, StateColumn
from .stage import Stage
from .task import Task, task

__all__ = [
    "CALLBACK",
    "JOB",
    "STAGE",
    "TASK",
    "Column",
    "CoreMachineError",
    "Event",
    "EventLog",
    "Job",
    "Lifecycle",
    "Machine",
    "Record",
    "Stage",
    "State",
    "StateColumn",
    "Task",
    "TaskContext",
    "Transition",
    "task",
]
