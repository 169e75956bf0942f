"""Errors at run time, besides those of the state machines."""

from ..statemachine.errors import OperationError

SHOWN = 3


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
