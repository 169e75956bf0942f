"""Errors as the visitor gets them: a page for a browser, JSON for a program."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ....statemachine.errors import CoreMachineError
from ..problems import Problem, problem_response, told
from .rendering import page


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


def _name(place: tuple[int | str, ...]) -> str:
    """The name of a parameter; where it stands (query, path, body) comes first, unless it is the only word."""
    return ".".join(map(str, place[1:] or place))


def _shown(request: Request, status: int, problem: Problem) -> Response:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problem_response(status, problem)
    return page(request, "problem.html", status=status, problem=problem)
