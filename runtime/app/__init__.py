"""The application: what a user opens."""

import warnings

from ..flow.resume import ResumePlan
from .async_app import AsyncCoreMachine
from .diagnose import Diagnosis
from .history import EventCursor
from .records import Records
from .sync_app import CoreMachine

__all__ = ["AsyncCoreMachine", "CoreMachine", "Diagnosis", "EventCursor", "Records"]

_OLD_NAMES = {"EventMark": EventCursor, "Resumption": ResumePlan, "Why": Diagnosis}


def __getattr__(name: str) -> object:
    """Names that were public before 0.2, for as long as they are deprecated."""
    if name in _OLD_NAMES:
        warnings.warn(f"{name} is now {_OLD_NAMES[name].__name__}", DeprecationWarning, stacklevel=2)
        return _OLD_NAMES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
