"""What an error looks like from outside: what happened, where, and what to do."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from ...diagrams.draw import DrawError
from ...statemachine.errors import GapRefusedError, IllegalMoveError, LostRaceError, OperationError
from ...statemachine.parameters import ParameterError
from ..errors import DatabaseUnreachableError, SchemaError, UnknownJobError, UnknownTypeError


class Problem(BaseModel):
    """An error: what happened, where, and what to do. `parameters` names each that is wrong, with what is."""

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


class InvalidRequestError(OperationError):
    """Something in the request cannot be. Carries `where` and `remedy`."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where = where
        self.remedy = remedy
        super().__init__(what)


class NotFoundError(OperationError):
    """What was asked for does not exist. Carries `where` and `remedy`."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where = where
        self.remedy = remedy
        super().__init__(what)


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": words}
    for status, words in {
        400: "the request cannot be read",
        401: "no token, or none that is known",
        403: "a viewer may not do this",
        404: "it does not exist",
        409: "the job is in another state, or the id is ambiguous",
        413: "the body is too large",
        421: "another host was asked for",
        422: "a parameter is wrong; each is named",
        503: "the database, or what draws, cannot be reached",
    }.items()
}


def problem_response(status: int, problem: Problem) -> Response:
    """An error as JSON."""
    return JSONResponse(problem.model_dump(), status_code=status)


def describe_error(error: Exception) -> tuple[int, Problem]:
    """The status of one of our errors, and what is said of it."""
    if isinstance(error, InvalidRequestError | NotFoundError | ParameterError | UnknownTypeError | UnknownJobError):
        return _describe_request_error(error)
    what = str(error)
    if isinstance(error, IllegalMoveError):
        remedy = f"legal from {error.state}: {', '.join(error.legal) or 'nothing'}"
        return 409, Problem(what=what, where="status", remedy=remedy)
    if isinstance(error, GapRefusedError | LostRaceError):
        return 409, Problem(what=what, where="status", remedy="look at the job again, then repeat")
    if isinstance(error, DatabaseUnreachableError | SchemaError | DrawError):
        return 503, Problem(what=what, where="the server", remedy="see the message; GET /readyz tells more")
    return 400, Problem(what=what, where="the request", remedy="see the message")


def _describe_request_error(error: OperationError) -> tuple[int, Problem]:
    what = str(error)
    match error:
        case ParameterError():
            remedy = f"give what {error.job} takes"
            return 422, Problem(what=what, where="parameters", remedy=remedy, parameters=error.problems)
        case InvalidRequestError():
            return 422, Problem(what=what, where=error.where, remedy=error.remedy, parameters={error.where: what})
        case UnknownTypeError():
            remedy = "start the server with the --app that declares it"
            return 422, Problem(what=what, where="job_type", remedy=remedy, parameters={"job_type": what})
        case NotFoundError():
            return 404, Problem(what=what, where=error.where, remedy=error.remedy)
        case UnknownJobError() if error.matches:
            return 409, Problem(what=what, where="job_id", remedy="give more of the id")
        case _:
            where = getattr(error, "job_id", "")
            return 404, Problem(what=f"no job has the id {where}", where="job_id", remedy="GET /api/jobs lists them")
