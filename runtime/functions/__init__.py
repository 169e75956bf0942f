"""CoreMachine in Azure Functions: the host brings the messages and settles them. Needs the package azure-functions."""

from .host import AbandonedError, FunctionsHost
from .registering import register

__all__ = ["AbandonedError", "FunctionsHost", "register"]
