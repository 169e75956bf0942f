"""What an error looks like from outside: what happened, where, and what to do."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ...diagrams.draw import DrawError
from ...statemachine.errors import CoreMachineError, GapRefusedError, IllegalMoveError, LostRaceError, OperationError
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


class AskedWronglyError(OperationError):
    """Something in the request cannot be. Carries `where` and `remedy`."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where = where
        self.remedy = remedy
        super().__init__(what)


class NotThereError(OperationError):
    """What was asked for does not exist. Carries `where` and `remedy`."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where = where
        self.remedy = remedy
        super().__init__(what)


RESPONSES: dict[int | str, dict[str, Any]] = {
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


def answer_errors(site: FastAPI) -> None:
    """Let `site` answer each of our errors with its status and what to do."""
    site.add_exception_handler(CoreMachineError, _ours)
    site.add_exception_handler(RequestValidationError, _invalid)
    site.add_exception_handler(HTTPException, _http)


async def _ours(request: Request, error: Exception) -> Response:
    status, problem = told(error)
    return _shown(request, status, problem)


async def _invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    named = {_name(one["loc"]): str(one["msg"]) for one in found}
    what = "; ".join(f"{name}: {words}" for name, words in named.items())
    problem = Problem(what=what, where="the request", remedy="see /api/openapi.json", parameters=named)
    return _shown(request, 422, problem)


async def _http(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", 500))
    what = str(getattr(error, "detail", "")) or "it cannot be answered"
    remedy = "see /api/openapi.json for what there is"
    answer = _shown(request, status, Problem(what=what, where=request.url.path, remedy=remedy))
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


def told(error: Exception) -> tuple[int, Problem]:
    """The status of one of our errors, and what is said of it."""
    if isinstance(error, AskedWronglyError | NotThereError | ParameterError | UnknownTypeError | UnknownJobError):
        return _wrongly_asked(error)
    what = str(error)
    if isinstance(error, IllegalMoveError):
        remedy = f"legal from {error.state}: {', '.join(error.legal) or 'nothing'}"
        return 409, Problem(what=what, where="status", remedy=remedy)
    if isinstance(error, GapRefusedError | LostRaceError):
        return 409, Problem(what=what, where="status", remedy="look at the job again, then repeat")
    if isinstance(error, DatabaseUnreachableError | SchemaError | DrawError):
        return 503, Problem(what=what, where="the server", remedy="see the message; GET /readyz tells more")
    return 400, Problem(what=what, where="the request", remedy="see the message")


def _wrongly_asked(error: OperationError) -> tuple[int, Problem]:
    what = str(error)
    match error:
        case ParameterError():
            remedy = f"give what {error.job} takes"
            return 422, Problem(what=what, where="parameters", remedy=remedy, parameters=error.problems)
        case AskedWronglyError():
            return 422, Problem(what=what, where=error.where, remedy=error.remedy, parameters={error.where: what})
        case UnknownTypeError():
            remedy = "start the server with the --app that declares it"
            return 422, Problem(what=what, where="job_type", remedy=remedy, parameters={"job_type": what})
        case NotThereError():
            return 404, Problem(what=what, where=error.where, remedy=error.remedy)
        case UnknownJobError() if error.matches:
            return 409, Problem(what=what, where="job_id", remedy="give more of the id")
        case _:
            where = getattr(error, "job_id", "")
            return 404, Problem(what=f"no job has the id {where}", where="job_id", remedy="GET /api/jobs lists them")


def _name(place: tuple[int | str, ...]) -> str:
    """The name of a parameter; where it stands (query, path, body) comes first, unless it is the only word."""
    return ".".join(map(str, place[1:] or place))


def _shown(request: Request, status: int, problem: Problem) -> Response:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problem_response(status, problem)
    # at run time, since a page says what an error looks like as well
    from .rendering import page

    return page(request, "problem.html", status=status, problem=problem)
