"""The application: what a user holds."""

from .async_app import AsyncCoreMachine
from .sync_app import CoreMachine

__all__ = ["AsyncCoreMachine", "CoreMachine"]
