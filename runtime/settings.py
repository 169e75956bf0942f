"""Settings: each has an environment variable, COREMACHINE_ and its name in capitals."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How a process of CoreMachine behaves. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="COREMACHINE_", env_ignore_empty=True, extra="forbid", frozen=True)

    url: str | None = Field(default=None, description="postgresql:// URL; without one, the embedded PostgreSQL")
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
    pool_size: int = Field(default=4, ge=2, description="database connections of a process, beside one to listen")
    web_tokens: str | None = Field(
        default=None, repr=False, description="who may use the pages: NAME:ROLE:SECRET, a comma between two"
    )
    web_trusted_proxies: str | None = Field(
        default=None, description="addresses and networks whose Azure Easy Auth headers are believed"
    )
    web_hosts: str | None = Field(default=None, description="names under which the pages may be asked for")

    @property
    def overrun(self) -> float:
        """How far a task may be past its deadline, in seconds, before it is taken from its worker.

        A task that waits for its place in a worker has its deadline moved on as its lease is renewed, so that the
        deadline may lag behind its real beginning by no more than a lease.
        """
        return self.stop_grace + self.lease
