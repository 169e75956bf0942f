"""Errors at run time, besides those of the state machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..statemachine.errors import OperationError

SHOWN = 3
QUERY_CHARACTERS = 300


class UnknownJobError(OperationError):
    """No job has this id, or more than one has this prefix. Carries `job_id` and `matches`."""

    def __init__(self, job_id: str, matches: tuple[str, ...] = ()) -> None:
        self.job_id = job_id
        self.matches = matches
        if matches:
            super().__init__(
                f"{job_id} is the prefix of {len(matches)} job ids: {', '.join(matches[:5])}; give more characters"
            )
        else:
            super().__init__(f"no job has the id {job_id}; `coremachine jobs` lists them")


class UnknownTypeError(OperationError):
    """This process does not declare the job type. Carries `job_type` and `known`."""

    def __init__(self, job_type: str, known: tuple[str, ...]) -> None:
        self.job_type = job_type
        self.known = known
        super().__init__(f"job type {job_type} is not declared here; declared: {', '.join(known) or 'none'}")


class SchemaError(OperationError):
    """The schema in the database is missing, or belongs to another declaration.

    Carries `schema`, `part` (`coremachine`, or the lifecycle of one of your records), and the digests `found` and
    `wanted`.
    """

    def __init__(self, schema: str, part: str, found: str | None, wanted: str) -> None:
        self.schema = schema
        self.part = part
        self.found = found
        self.wanted = wanted
        state = (
            "is not installed"
            if found is None
            else f"was installed from another declaration ({found[:12]}, not {wanted[:12]})"
        )
        what = f"schema {schema}" if part == "coremachine" else f"record {part} in schema {schema}"
        super().__init__(f"{what} {state}; run `coremachine db install` against this database")


class DriftError(OperationError):
    """A table differs from the declaration. Carries `schema` and `differences`, one text for each.

    Nothing has changed.
    """

    def __init__(self, schema: str, differences: list[str]) -> None:
        self.schema = schema
        self.differences = tuple(differences)
        more = len(differences) - SHOWN
        shown = "; ".join(self.differences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        super().__init__(
            f"schema {schema} was created from another declaration: {shown}. Nothing was changed. Alter the schema"
            " manually, or install into another schema or data directory",
        )


class InstallationError(OperationError):
    """The login may not install the schema. Carries `schema` and `reason`. Nothing has changed."""

    def __init__(self, schema: str, reason: str) -> None:
        self.schema = schema
        self.reason = reason
        super().__init__(
            f"schema {schema} cannot be installed by this login: {reason}. Install it as a login that may create"
            f" schemas and roles (or create the role coremachine_{schema} for it first)",
        )


class DatabaseUnreachableError(OperationError):
    """No connection to the database. Carries `where`, the address without its password."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"no connection to {where}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockHolder:
    """A session (`pid`) or a prepared transaction (`gid`) that holds a lock.

    `since` is when its transaction began, or was prepared; `query` is the session's current or last one. Only members
    of pg_read_all_stats see the application, state, time and query of other logins.
    """

    pid: int | None
    gid: str | None
    user: str | None
    application: str | None
    state: str | None
    query: str | None
    since: datetime | None

    def __str__(self) -> str:
        query = " ".join((self.query or "").split())
        shown = query if len(query) <= QUERY_CHARACTERS else f"{query[:QUERY_CHARACTERS]}…"
        return f"{self.without_query}: {shown}" if shown else self.without_query

    @property
    def without_query(self) -> str:
        """The holder in words, without its query, which may contain data."""
        since = "" if self.since is None else f"since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        if self.gid is not None:
            return f"prepared transaction '{self.gid}' (user {self.user}, {since})"
        known = (f"user {self.user}", self.application, self.state, since and f"in its transaction {since}")
        return f"process {self.pid} ({', '.join(filter(None, known))})"

    @property
    def remedy(self) -> str:
        """The SQL that ends its transaction."""
        if self.gid is None:
            return f"SELECT pg_terminate_backend({self.pid})"
        gid = self.gid.replace("'", "''")
        return f"COMMIT PREPARED '{gid}' or ROLLBACK PREPARED '{gid}'"


class LockTimeoutError(OperationError):
    """Others hold a lock that the request needs, and did not release it in time. Nothing has changed.

    Carries `waited_s` and `holders`, each a LockHolder; none if they could not be looked up.
    """

    def __init__(self, waited_s: float, holders: Sequence[LockHolder]) -> None:
        self.waited_s = waited_s
        self.holders = tuple(holders)
        super().__init__(self._text([str(holder) for holder in self.holders]))

    @property
    def without_queries(self) -> str:
        """The message without the queries of other sessions, which may contain data."""
        return self._text([holder.without_query for holder in self.holders])

    def _text(self, holders: list[str]) -> str:
        more = f"; and {len(holders) - SHOWN} more" if len(holders) > SHOWN else ""
        held_by = "; ".join(holders[:SHOWN]) + more if holders else "an unknown session; see pg_stat_activity"
        remedy = f", or end it: {self.holders[0].remedy}" if holders else ""
        return (
            f"gave up after waiting {round(self.waited_s, 1):g} s for a lock; nothing was changed. The lock is held by"
            f" {held_by}. Try again when that transaction has ended{remedy}"
        )


class DatabaseEncodingError(OperationError):
    """The database cannot hold every text. Carries `where`, the address without its password, and `encoding`."""

    def __init__(self, where: str, encoding: str) -> None:
        self.where = where
        self.encoding = encoding
        super().__init__(
            f"{where} has the encoding {encoding}, in which not every text can be stored; create the database with"
            " ENCODING 'UTF8' TEMPLATE template0"
        )


class DirectUrlError(OperationError):
    """The direct URL does not lead past the pooler. Carries `where`, its address without the password, and `reason`."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"the direct URL leads to {where}, {reason}; correct COREMACHINE_DIRECT_URL")


class FanOutError(OperationError):
    """The items of a fan-out could not be determined. Carries `stage` and `reason`."""

    def __init__(self, stage: str, reason: str) -> None:
        self.stage = stage
        self.reason = reason
        super().__init__(f"stage {stage} has no items to fan out over: {reason}")


class StaleMessageError(OperationError):
    """A worker no longer holds the job message that it handles. Carries `job_id`. Nothing has changed."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(
            f"this worker no longer holds the message of job {job_id[:12]}: its lease has expired, or the job moved on"
        )


class BrokerError(OperationError):
    """The broker cannot be reached, or has refused a request. Carries `what`, `reason` and `lasting`.

    A lasting error (a queue that does not exist, a login that is refused) needs somebody to fix its cause.
    """

    def __init__(self, what: str, reason: str, *, lasting: bool = False) -> None:
        self.what = what
        self.reason = reason
        self.lasting = lasting
        super().__init__(f"{what}: {reason}")
