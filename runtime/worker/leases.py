"""The lease keeper: renews what the worker holds, on a thread and a connection of its own, apart from user code."""

import threading
from typing import Any, cast

import psycopg
from psycopg.rows import dict_row

from ...sql_generator.roles import worker_role
from ..logs import logger
from ..store.database import Database
from ..store.queries import query
from .held import Held

log = logger("leases")


class LeaseKeeper:
    """Renews every held lease three times in its length. A lost connection is made anew at the next turn."""

    def __init__(self, database: Database, held: Held, owner: str, lease: float) -> None:
        self._database = database
        self._held = held
        self._owner = owner
        self._lease = lease
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._lost = False

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing: from here on the leases run out."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        connection: psycopg.Connection[dict[str, object]] | None = None
        while not self._stopped.wait(self._lease / 3):
            try:
                if connection is None or connection.closed:
                    connection = self._connect()
                self._renew(connection)
                self._lost = False
            except psycopg.Error as error:
                if not self._lost:
                    log.warning("leases could not be renewed; trying again", error=str(error).strip())
                self._lost = True
                connection = None
        if connection is not None:
            connection.close()

    def _connect(self) -> psycopg.Connection[dict[str, object]]:
        connection = psycopg.Connection[dict[str, object]].connect(
            self._database.url,
            **self._database.credentials(),
            autocommit=True,
            row_factory=cast("Any", dict_row),
            connect_timeout=max(2, int(self._lease / 3)),
            application_name="coremachine leases",
        )
        schema = self._database.schema
        connection.execute(query("take_role", schema), {"role": worker_role(schema)})
        return connection

    def _renew(self, connection: psycopg.Connection[dict[str, object]]) -> None:
        tasks, jobs, callbacks = self._held.snapshot()
        common = {"owner": self._owner, "lease": self._lease}
        if tasks:
            held_tasks = {
                "task_ids": list(tasks),
                "lease_numbers": [one.lease_number for one in tasks.values()],
                "begun": [one.begun for one in tasks.values()],
            }
            rows = self._fetch(connection, "renew_task_leases", {**common, **held_tasks})
            for row in rows:
                if row["stop_reason"]:
                    tasks[str(row["task_id"])].stop(str(row["stop_reason"]))
        for name, ids, held in (
            ("renew_job_messages", "job_ids", jobs),
            ("renew_callback_leases", "callback_ids", callbacks),
        ):
            if held:
                self._fetch(connection, name, {**common, ids: list(held), "lease_numbers": list(held.values())})

    def _fetch(
        self, connection: psycopg.Connection[dict[str, object]], name: str, parameters: dict[str, object]
    ) -> list[dict[str, object]]:
        return connection.execute(query(name, self._database.schema), parameters).fetchall()
