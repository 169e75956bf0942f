"""The application object that a program uses."""

from .async_app import AsyncCoreMachine
from .records import Records
from .sync_app import CoreMachine

__all__ = ["AsyncCoreMachine", "CoreMachine", "Records"]
