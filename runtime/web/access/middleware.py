"""Checks every request before its route: host, user, origin and body size. Adds security headers to every response."""

from http.cookies import CookieError, SimpleCookie
from traceback import format_exc
from urllib.parse import quote, urlsplit

import psycopg
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..problems import Problem, problem_response
from .policy import Access, Visitor, is_loopback

log = structlog.get_logger("coremachine.web")
BODY_LIMIT_BYTES = 1_000_000
BODY_TOO_LARGE = f"the body is larger than {BODY_LIMIT_BYTES:,} bytes"
EVENT_STREAM = "text/event-stream"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC_PATHS = ("/login", "/static/", "/healthz", "/readyz")
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: then browsers send no Origin with forms, and the cross-site check needs it
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class BodyTooLargeError(HTTPException):
    """The request body exceeds the limit."""

    def __init__(self) -> None:
        super().__init__(413, BODY_TOO_LARGE)


class AccessMiddleware:
    """Passes allowed requests on, with `visitor` in their state, and rejects the others."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = _is_head(scope)
        sender = ResponseSender(send, head=head)
        # HEAD runs as GET; the sender drops the body
        scope = {**scope, "method": "GET"} if head else scope
        rejection = self._reject(scope)
        try:
            await (rejection or self._app)(scope, RequestReceiver(receive), sender)
        except Exception as error:
            # as text: structlog's traceback has local variables, and with them parameters and secrets
            log.error("request failed", path=scope["path"], traceback=format_exc())  # noqa: TRY400
            if sender.started:
                raise
            await _internal_error(error)(scope, receive, sender)

    def _reject(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        problem = self._wrong_host(headers) or _declares_too_large(headers)
        if problem:
            return problem
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        peer = (scope.get("client") or (None,))[0]
        scope["scheme"] = self._access.scheme(peer, headers, scope["scheme"])
        visitor = self._access.visitor(peer, headers, _cookies(headers))
        scope.setdefault("state", {})["visitor"] = visitor
        if scope["method"] not in SAFE_METHODS and _is_cross_site(headers) and (visitor is None or visitor.ambient):
            return _error_response(403, "the request came from another site", "use these pages, or send a token")
        if any(path.startswith(public) for public in PUBLIC_PATHS):
            return None
        if visitor is None:
            return self._unauthenticated(scope, path, headers)
        return _forbidden(scope, path, visitor)

    def _wrong_host(self, headers: Headers) -> Response | None:
        """Reject unknown host names, against DNS rebinding: another site's name may resolve to this server."""
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        hosts = self._access.hosts
        if (name in hosts) or (not hosts and (not self._access.allows_anonymous or is_loopback(name))):
            return None
        remedy = "use a name listed in COREMACHINE_WEB_HOSTS" if hosts else "use localhost or 127.0.0.1"
        return _error_response(421, f"unknown host name {name[:100]!r}", remedy)

    def _unauthenticated(self, scope: Scope, path: str, headers: Headers) -> Response:
        if self._access.allows_anonymous:
            remedy = "set COREMACHINE_WEB_TOKENS or COREMACHINE_WEB_TRUSTED_PROXIES, then log in"
            return _error_response(403, "only direct requests from this machine are allowed", remedy)
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
            after = quote(path + query, safe="")
            return RedirectResponse(f"{scope.get('root_path', '')}/login?next={after}", status_code=303)
        response = _error_response(401, "missing or unknown token", "send Authorization: Bearer SECRET, or log in")
        response.headers["WWW-Authenticate"] = 'Bearer realm="coremachine"'
        return response


class RequestReceiver:
    """Receives the request body up to the size limit."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = BODY_LIMIT_BYTES

    async def __call__(self) -> Message:
        """The next message. Raises BodyTooLargeError."""
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise BodyTooLargeError
        return message


class ResponseSender:
    """Sends the response with the security headers, and without the body for HEAD."""

    def __init__(self, send: Send, *, head: bool) -> None:
        self._send = send
        self._head = head
        self.started = False

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def _is_head(scope: Scope) -> bool:
    """Whether this is a HEAD request for something other than a stream, which has no end to wait for."""
    stream = EVENT_STREAM in Headers(scope=scope).get("accept", "") or scope["path"].endswith("/api/changes")
    return scope["method"] == "HEAD" and not stream


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _is_cross_site(headers: Headers) -> bool:
    """Whether a page of another site sent the request. Programs send neither header."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return True
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _forbidden(scope: Scope, path: str, visitor: Visitor) -> Response | None:
    if scope["method"] in SAFE_METHODS or visitor.is_operator or path == "/logout":
        return None
    return _error_response(403, f"{visitor.name} is a viewer; only an operator may do this", "ask an operator")


def _declares_too_large(headers: Headers) -> Response | None:
    length = headers.get("content-length", "0")
    return _body_too_large() if length.isdecimal() and int(length[:20]) > BODY_LIMIT_BYTES else None


def _body_too_large() -> Response:
    remedy = "send a path to the data instead of the data"
    return problem_response(413, Problem(what=BODY_TOO_LARGE, where="the body", remedy=remedy))


def _internal_error(error: Exception) -> Response:
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        what, remedy = "The database isn't responding.", "try again; if it persists, check the database"
    else:
        what, remedy = f"internal error ({type(error).__name__})", "see the server's log, and report it"
    return problem_response(500, Problem(what=what, where="the server", remedy=remedy))


def _error_response(status: int, what: str, remedy: str) -> Response:
    return problem_response(status, Problem(what=what, where="the request", remedy=remedy))
