"""The HTML pages, their templates and scripts."""

from pathlib import Path

from . import job, jobs, login, system

ROUTERS = (jobs.router, job.router, system.router, login.router)
STATIC = Path(__file__).with_name("static")

__all__ = ["ROUTERS", "STATIC"]
