"""The application: what a user holds."""

from .async_app import AsyncCoreMachine
from .records import Records
from .sync_app import CoreMachine

__all__ = ["AsyncCoreMachine", "CoreMachine", "Records"]
