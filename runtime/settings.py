"""Settings: each has an environment variable, COREMACHINE_ and its name in capitals."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How a process of CoreMachine behaves. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="COREMACHINE_", env_ignore_empty=True, extra="forbid", frozen=True)

    url: str | None = Field(default=None, description="postgresql:// URL; without one, the embedded PostgreSQL")
    db_auth: Literal["password", "entra"] = Field(
        default="password", description="how one logs in: as the URL says, or with a token of Entra ID"
    )
    db_schema: str = Field(default="app", description="schema that holds the tables")
    data_dir: Path | None = Field(default=None, description="where the embedded PostgreSQL keeps its data")
    concurrency: int = Field(default=8, ge=1, description="handlers that a worker runs at once")
    prefetch: int = Field(default=1000, ge=0, description="most tasks claimed ahead, where handlers are brief")
    lease: float = Field(default=10.0, gt=0, description="how long a claim lasts unless it is renewed")
    reconcile: float = Field(default=3.0, gt=0, description="how often a worker looks for what waits in vain")
    poll: float = Field(default=1.0, gt=0, description="how often an idle worker looks without being woken")
    stop_grace: float = Field(
        default=60.0, ge=0, description="how long a task may go on past its timeout, or though it was asked to stop"
    )
    grace: float = Field(default=10.0, ge=0, description="how long a stopping worker waits for its handlers")
    bus: Literal["postgres", "servicebus"] = Field(default="postgres", description="what carries the messages")
    servicebus: str | None = Field(
        default=None, repr=False, description="Azure Service Bus: a connection string, or the name of a namespace"
    )
    job_queue: str = Field(default="coremachine-jobs", description="a broker's queue of jobs and callbacks")
    task_queue: str = Field(default="coremachine-tasks", description="a broker's queue of tasks not routed elsewhere")
    queue_prefix: str = Field(default="", description="put before the name of every queue")
    resend: float = Field(
        default=300.0, gt=0, description="after how long a broker's message that nobody came for is sent again"
    )
    relay_lease: float = Field(default=5.0, gt=0, description="how long a relay may take to send what it has taken")
    horizon: float = Field(
        default=30.0, ge=0, description="how far ahead messages of retries are sent, for the broker to hold back"
    )
    pool_size: int = Field(default=4, ge=2, description="database connections of a process, beside one to listen")
    web_tokens: str | None = Field(
        default=None, repr=False, description="who may use the pages: NAME:ROLE:SECRET, a comma between two"
    )
    web_trusted_proxies: str | None = Field(
        default=None,
        description="addresses and networks whose Azure Easy Auth and X-Forwarded-Proto are believed",
    )
    web_url: str | None = Field(
        default=None, description="where people find the pages, such as https://jobs.example.org; without it, as asked"
    )
    web_hosts: str | None = Field(default=None, description="names under which the pages may be asked for")

    @property
    def overrun(self) -> float:
        """How far a task may be past its deadline, in seconds, before it is taken from its worker.

        A task that waits for its place in a worker has its deadline moved on as its lease is renewed, so that the
        deadline may lag behind its real beginning by no more than a lease.
        """
        return self.stop_grace + self.lease
