"""Error responses: an HTML page for browsers, JSON for programs."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ....statemachine.errors import CoreMachineError
from ..api.dependencies import path_in_site
from ..problems import Problem, describe_error, problem_response
from .rendering import render_page


def install_error_handlers(site: FastAPI) -> None:
    """Install handlers on `site` for CoreMachine's errors, invalid requests and HTTP errors."""
    site.add_exception_handler(CoreMachineError, _handle_error)
    site.add_exception_handler(RequestValidationError, _handle_invalid)
    site.add_exception_handler(HTTPException, _handle_http)


async def _handle_error(request: Request, error: Exception) -> Response:
    visitor = getattr(request.state, "visitor", None)
    status, problem = describe_error(error, for_operator=visitor is not None and visitor.is_operator)
    return _respond(request, status, problem)


async def _handle_invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    named = {_parameter_name(item["loc"]): str(item["msg"]) for item in found}
    what = "; ".join(f"{name}: {message}" for name, message in named.items())
    problem = Problem(what=what, where="the request", remedy="see /api/openapi.json", parameters=named)
    return _respond(request, 422, problem)


async def _handle_http(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", 500))
    what = str(getattr(error, "detail", "")) or "the request failed"
    remedy = "see /api/openapi.json"
    response = _respond(request, status, Problem(what=what, where=request.url.path, remedy=remedy))
    response.headers.update(getattr(error, "headers", None) or {})
    return response


def _parameter_name(location: tuple[int | str, ...]) -> str:
    """The name of a parameter, without its location (query, path, body) unless that is all there is."""
    return ".".join(map(str, location[1:] or location))


def _respond(request: Request, status: int, problem: Problem) -> Response:
    if path_in_site(request).startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problem_response(status, problem)
    return render_page(request, "problem.html", status=status, problem=problem)
