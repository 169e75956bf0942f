"""The HTTP API: its routes, and what they read and return."""

from . import actions, events, jobs, system

ROUTERS = (jobs.router, events.router, actions.router, system.router)

__all__ = ["ROUTERS"]
