"""Login with a token. The session cookie cannot be read by scripts or sent by other sites."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ..access.policy import SESSION_COOKIE, Access
from ..access.sessions import SESSION_SECONDS, new_cookie
from ..api.dependencies import mount_path
from .rendering import render_page

router = APIRouter(include_in_schema=False)
MAX_FORM_BYTES = 4096


@router.get("/login")
async def login_page(request: Request) -> HTMLResponse:
    """Show the login form."""
    return render_page(request, "login.html", after=_local_path(request.query_params.get("next")), failed=False)


@router.post("/login")
async def login(request: Request) -> Response:
    """Check the token and set the session cookie."""
    form = parse_qs((await request.body())[:MAX_FORM_BYTES].decode(errors="replace"))
    access: Access = request.app.state.access
    token = access.find_token(form.get("token", [""])[0].strip())
    after = _local_path(form.get("next", [""])[0])
    if token is None:
        return render_page(request, "login.html", status=401, after=after, failed=True)
    root = mount_path(request)
    response = RedirectResponse(root + after, status_code=303)
    response.set_cookie(
        SESSION_COOKIE,
        new_cookie(token.name, token.secret),
        max_age=SESSION_SECONDS,
        path=root or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Delete the session cookie."""
    root = mount_path(request)
    response = RedirectResponse(f"{root}/login", status_code=303)
    response.delete_cookie(SESSION_COOKIE, path=root or "/", httponly=True, samesite="strict")
    return response


def _local_path(path: str | None) -> str:
    """The path to continue at. Anything but a path on this site becomes the job list."""
    given = path or "/jobs"
    safe = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable() and "\\" not in given
    return given if safe else "/jobs"
