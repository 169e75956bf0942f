"""Logging in: a token becomes a cookie that no script can read and no other site can send."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ..access.policy import COOKIE, Access
from ..access.sessions import LASTS, new_cookie
from .rendering import page

router = APIRouter(include_in_schema=False)
LONGEST = 4096


@router.get("/login")
async def login_page(request: Request) -> HTMLResponse:
    """Asks for a token."""
    return page(request, "login.html", after=_inside(request.query_params.get("next")), wrong=False)


@router.post("/login")
async def login(request: Request) -> Response:
    """Takes a token, and gives a cookie for it."""
    form = parse_qs((await request.body())[:LONGEST].decode(errors="replace"))
    access: Access = request.app.state.access
    token = access.token_of(form.get("token", [""])[0].strip())
    after = _inside(form.get("next", [""])[0])
    if token is None:
        return page(request, "login.html", status=401, after=after, wrong=True)
    root = str(request.scope.get("root_path", ""))
    answer = RedirectResponse(root + after, status_code=303)
    answer.set_cookie(
        COOKIE,
        new_cookie(token.name, token.secret),
        max_age=LASTS,
        path=root or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Takes the cookie away."""
    root = str(request.scope.get("root_path", ""))
    answer = RedirectResponse(f"{root}/login", status_code=303)
    answer.delete_cookie(COOKIE, path=root or "/", httponly=True, samesite="strict")
    return answer


def _inside(path: str | None) -> str:
    """Where to go on: a page of this site, and of no other."""
    given = path or "/jobs"
    safe = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable() and "\\" not in given
    return given if safe else "/jobs"
