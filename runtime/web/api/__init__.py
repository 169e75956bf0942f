"""The HTTP API: routes, queries and response models."""

from . import actions, events, jobs, system

ROUTERS = (jobs.router, events.router, actions.router, system.router)

__all__ = ["ROUTERS"]
