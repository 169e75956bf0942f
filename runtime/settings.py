"""Settings: each has an environment variable, COREMACHINE_ followed by its name in capitals."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of a process. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="COREMACHINE_", env_ignore_empty=True, extra="forbid", frozen=True)

    url: str | None = Field(
        default=None, description="postgresql:// URL of the database; without one, the embedded PostgreSQL"
    )
    direct_url: str | None = Field(
        default=None,
        repr=False,
        description="postgresql:// URL that leads past a connection pooler, for LISTEN and for the lease renewer",
    )
    pooler: bool | None = Field(
        default=None,
        description="whether the URL is that of a connection pooler in transaction mode; default: detected at start",
    )
    listen: bool = Field(
        default=True, description="whether LISTEN and NOTIFY wake idle workers; without them they only poll"
    )
    db_auth: Literal["password", "entra"] = Field(
        default="password",
        description="how to log in to the database: with the URL's password, or with an Entra ID token",
    )
    db_schema: str = Field(default="app", description="schema that holds the tables")
    data_dir: Path | None = Field(default=None, description="data directory of the embedded PostgreSQL")
    concurrency: int = Field(default=8, ge=1, description="handlers that a worker runs at the same time")
    prefetch: int = Field(
        default=1000, ge=0, description="maximum number of tasks claimed ahead, if handlers are short"
    )
    lease: float = Field(default=10.0, gt=0, description="seconds until a claim expires unless it is renewed")
    reconcile: float = Field(default=3.0, gt=0, description="seconds between reconciler runs, which recover stuck work")
    poll: float = Field(
        default=1.0, gt=0, description="seconds between polls of an idle worker that receives no notification"
    )
    stop_grace: float = Field(
        default=60.0,
        ge=0,
        description="seconds that a task may continue after its timeout, or after it was asked to stop",
    )
    grace: float = Field(default=10.0, ge=0, description="seconds that a stopping worker waits for its handlers")
    bus: Literal["postgres", "servicebus"] = Field(
        default="postgres", description="what carries the messages: PostgreSQL, or Azure Service Bus"
    )
    servicebus: str | None = Field(
        default=None, repr=False, description="Azure Service Bus: a connection string, or the name of a namespace"
    )
    job_queue: str = Field(default="coremachine-jobs", description="broker queue for jobs and callbacks")
    task_queue: str = Field(
        default="coremachine-tasks", description="broker queue for tasks that are not routed to another queue"
    )
    queue_prefix: str = Field(default="", description="prefix of every queue name")
    resend: float = Field(
        default=300.0, gt=0, description="seconds until a broker message that no worker has handled is sent again"
    )
    relay_lease: float = Field(
        default=5.0, gt=0, description="seconds that a relay may take to send the messages that it has claimed"
    )
    horizon: float = Field(
        default=30.0,
        ge=0,
        description="how many seconds before a retry is due its message is sent, for the broker to delay",
    )
    pool_size: int = Field(
        default=4, ge=2, description="database connections of a process, in addition to one for notifications"
    )
    web_tokens: str | None = Field(
        default=None, repr=False, description="who may use the pages: NAME:ROLE:SECRET, separated by commas"
    )
    web_trusted_proxies: str | None = Field(
        default=None,
        description="addresses and networks whose Azure Easy Auth and X-Forwarded-Proto headers are trusted",
    )
    web_url: str | None = Field(
        default=None,
        description="public URL of the pages, e.g. https://jobs.example.org; default: the URL of the request",
    )
    web_hosts: str | None = Field(default=None, description="host names under which the pages may be requested")

    @property
    def overrun(self) -> float:
        """Seconds after its deadline at which a task is taken from its worker.

        While a task waits for a free slot in a worker, each renewal of its lease moves its deadline, which may
        therefore be early by at most one lease.
        """
        return self.stop_grace + self.lease
