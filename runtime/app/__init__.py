"""The application object that a program uses."""

from .async_app import AsyncCoreMachine
from .sync_app import CoreMachine

__all__ = ["AsyncCoreMachine", "CoreMachine"]
