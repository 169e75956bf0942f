"""What can go wrong while running, beside what the state machines refuse."""

from ..statemachine.errors import OperationError

SHOWN = 3


class UnknownJobError(OperationError):
    """No job has this id, or more than one has this prefix. Carries `job_id` and `matches`."""

    def __init__(self, job_id: str, matches: tuple[str, ...] = ()) -> None:
        self.job_id = job_id
        self.matches = matches
        if matches:
            super().__init__(
                f"{job_id} is the beginning of {len(matches)} job ids: {', '.join(matches[:5])}; give more of it"
            )
        else:
            super().__init__(f"no job has the id {job_id}; `coremachine jobs` lists them")


class UnknownTypeError(OperationError):
    """A job type that this process does not declare. Carries `job_type` and `known`."""

    def __init__(self, job_type: str, known: tuple[str, ...]) -> None:
        self.job_type = job_type
        self.known = known
        super().__init__(f"job type {job_type} is not declared here; declared: {', '.join(known) or 'none'}")


class SchemaError(OperationError):
    """The database's schema is not the one that this declaration needs.

    Carries `schema`, `part` (`coremachine`, or the lifecycle of a record of one's own), and the digests `found` and
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
    """A table exists that is not what the declaration wants. Carries `schema` and `differences`, a text each.

    Nothing has changed.
    """

    def __init__(self, schema: str, differences: list[str]) -> None:
        self.schema = schema
        self.differences = tuple(differences)
        more = len(differences) - SHOWN
        shown = "; ".join(self.differences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        super().__init__(
            f"schema {schema} was made by another declaration: {shown}. Nothing was changed; alter it by hand, or"
            " install into another schema or data directory",
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


class FanOutError(OperationError):
    """The items of a fan-out could not be had. Carries `stage` and `reason`."""

    def __init__(self, stage: str, reason: str) -> None:
        self.stage = stage
        self.reason = reason
        super().__init__(f"stage {stage} has no items to fan out over: {reason}")


class StaleMessageError(OperationError):
    """A job message was handled by somebody else meanwhile. Carries `job_id`. Nothing has changed."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(
            f"the message of job {job_id[:12]} is no longer ours: its lease ran out, or the job has moved on"
        )


class BrokerError(OperationError):
    """The broker could not be reached, or did not do what it was asked. Carries `what`, `reason` and `lasting`.

    A lasting one (a queue that does not exist, a login that is refused) goes away only if somebody does something.
    """

    def __init__(self, what: str, reason: str, *, lasting: bool = False) -> None:
        self.what = what
        self.reason = reason
        self.lasting = lasting
        super().__init__(f"{what}: {reason}")
