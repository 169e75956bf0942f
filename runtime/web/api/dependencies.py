"""Dependencies of the routes: the application, the visitor, and path parameters."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Request

from ...app import AsyncCoreMachine
from ..access.policy import Access, Visitor
from .filters import MAX_INT


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The application, the visitor, and the path under which the site is mounted."""

    machine: AsyncCoreMachine
    visitor: Visitor
    root: str


def _request_context(request: Request) -> RequestContext:
    machine = cast("AsyncCoreMachine", request.app.state.machine)
    return RequestContext(machine, cast("Visitor", request.state.visitor), mount_path(request))


def mount_path(request: Request) -> str:
    """The path under which the site is mounted, empty if it runs alone."""
    return str(request.scope.get("root_path", ""))


def path_in_site(request: Request) -> str:
    """The path of the request, without the path under which the site is mounted."""
    return str(request.scope["path"]).removeprefix(mount_path(request))


def site_url(request: Request) -> str:
    """The URL of the site as the visitor sees it, without a trailing slash."""
    access = cast("Access", request.app.state.access)
    return access.url or f"{request.url.scheme}://{request.url.netloc}{mount_path(request)}"


Context = Annotated[RequestContext, Depends(_request_context)]
JobRef = Annotated[
    str,
    Path(pattern="^[0-9a-f]{1,64}$", description="a job id, or an unambiguous prefix of one", examples=["3f9c00"]),
]
TaskRef = Annotated[int, Path(ge=1, le=MAX_INT, description="the task's number within its job", examples=[17])]
