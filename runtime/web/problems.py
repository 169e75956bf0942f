"""Errors as the HTTP API reports them: what happened, where, and what to do."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from ...diagrams.draw import DrawError
from ...statemachine.errors import GapRefusedError, IllegalMoveError, LostRaceError, OperationError
from ...statemachine.parameters import ParameterError
from ..errors import DatabaseUnreachableError, LockTimeoutError, SchemaError, UnknownJobError, UnknownTypeError


class Problem(BaseModel):
    """An error: what happened, where, and what to do. `parameters` has a message for each invalid parameter."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "what": "no job has the id 3f9c00",
                "where": "job_id",
                "remedy": "GET /api/jobs lists them",
                "parameters": {},
            }
        }
    )
    what: str
    where: str
    remedy: str
    parameters: dict[str, str] = {}


class RequestError(OperationError):
    """The request cannot be answered. Carries `where` and `remedy`."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where = where
        self.remedy = remedy
        super().__init__(what)


class InvalidRequestError(RequestError):
    """Part of the request is invalid."""


class NotFoundError(RequestError):
    """The requested object does not exist."""


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "the request is malformed",
        401: "missing or unknown token",
        403: "only an operator may do this",
        404: "not found",
        409: "the job's state does not allow this, or the id is ambiguous",
        413: "the body is too large",
        421: "unknown host name",
        422: "invalid parameters; each is named",
        503: "the database or Graphviz is not available, or others hold a lock",
    }.items()
}


def problem_response(status: int, problem: Problem) -> Response:
    """An error as a JSON response."""
    return JSONResponse(problem.model_dump(), status_code=status)


def describe_error(error: Exception, *, for_operator: bool) -> tuple[int, Problem]:
    """The HTTP status and the problem for an error of CoreMachine. Only operators see queries of other sessions."""
    if isinstance(error, InvalidRequestError | NotFoundError | ParameterError | UnknownTypeError | UnknownJobError):
        return _describe_request_error(error)
    what = str(error)
    if isinstance(error, IllegalMoveError):
        return 409, Problem(what=what, where="status", remedy=_allowed_actions(error))
    if isinstance(error, GapRefusedError | LostRaceError):
        return 409, Problem(what=what, where="status", remedy="reload the job, then try again")
    if isinstance(error, LockTimeoutError):
        shown = what if for_operator else error.without_queries
        return 503, Problem(what=shown, where="the database", remedy="try again when that transaction has ended")
    if isinstance(error, DatabaseUnreachableError | SchemaError | DrawError):
        return 503, Problem(what=what, where="the server", remedy="see the message, and GET /readyz")
    return 400, Problem(what=what, where="the request", remedy="see the message")


def _describe_request_error(error: OperationError) -> tuple[int, Problem]:
    what = str(error)
    match error:
        case ParameterError():
            remedy = f"send the parameters that {error.job} declares"
            return 422, Problem(what=what, where="parameters", remedy=remedy, parameters=error.problems)
        case InvalidRequestError():
            return 422, Problem(what=what, where=error.where, remedy=error.remedy, parameters={error.where: what})
        case UnknownTypeError():
            remedy = "start the server with the --app that declares this job type"
            return 422, Problem(what=what, where="job_type", remedy=remedy, parameters={"job_type": what})
        case NotFoundError():
            return 404, Problem(what=what, where=error.where, remedy=error.remedy)
        case UnknownJobError() if error.matches:
            return 409, Problem(what=what, where="job_id", remedy="send more characters of the id")
        case _:
            where = getattr(error, "job_id", "")
            return 404, Problem(what=f"no job has the id {where}", where="job_id", remedy="GET /api/jobs lists them")


def _allowed_actions(error: IllegalMoveError) -> str:
    if not error.legal:
        return f"this {error.machine} is {error.state}; there is nothing to {error.trigger}"
    return f"a {error.machine} that is {error.state} allows: {', '.join(error.legal)}"
