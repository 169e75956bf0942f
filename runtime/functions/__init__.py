"""CoreMachine in Azure Functions: the host delivers and settles the messages. Needs the package azure-functions."""

from .host import AbandonedError, FunctionsHost
from .triggers import register

__all__ = ["AbandonedError", "FunctionsHost", "register"]
