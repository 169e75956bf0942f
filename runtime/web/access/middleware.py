"""The gate before every route: who asks, from where, how much they send, and what a browser may do with the answer."""

from http.cookies import CookieError, SimpleCookie
from traceback import format_exc
from urllib.parse import quote, urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..problems import Problem, problem_response
from .policy import Access, Visitor, is_loopback

log = structlog.get_logger("coremachine.web")
BODY_LIMIT_BYTES = 1_000_000
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
    # not no-referrer: browsers then hide the origin of a form as well, by which we know our own
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class BodyTooLargeError(HTTPException):
    """More was sent than is taken."""

    def __init__(self) -> None:
        super().__init__(413, f"a body of more than {BODY_LIMIT_BYTES:,} bytes")


class AccessMiddleware:
    """Lets through what may pass, with `visitor` in its state, and answers the rest."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = _is_head(scope)
        sender = ResponseSender(send, head=head)
        # what is asked of a page by HEAD is all of it but the body, which is held back
        scope = {**scope, "method": "GET"} if head else scope
        rejection = self._reject(scope)
        try:
            await (rejection or self._app)(scope, RequestReceiver(receive), sender)
        except Exception as error:
            # as text: a traceback with its local variables would put parameters and secrets into the log
            log.error("a request could not be answered", path=scope["path"], traceback=format_exc())  # noqa: TRY400
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
            return _error_response(403, "another site has sent this", "send it from these pages, or with a token")
        if any(path.startswith(public) for public in PUBLIC_PATHS):
            return None
        if visitor is None:
            return self._unauthenticated(scope, path, headers)
        return _forbidden(scope, path, visitor)

    def _wrong_host(self, headers: Headers) -> Response | None:
        """Against DNS rebinding: another site's name may be made to point here."""
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        hosts = self._access.hosts
        if (name in hosts) or (not hosts and (not self._access.allows_anonymous or is_loopback(name))):
            return None
        remedy = "ask for localhost or 127.0.0.1" if not hosts else "use a name listed in COREMACHINE_WEB_HOSTS"
        return _error_response(421, f"this server is not called {name[:100]!r}", remedy)

    def _unauthenticated(self, scope: Scope, path: str, headers: Headers) -> Response:
        if self._access.allows_anonymous:
            remedy = "set COREMACHINE_WEB_TOKENS or COREMACHINE_WEB_TRUSTED_PROXIES, and ask again with a token"
            return _error_response(403, "without authentication only this machine is served, and no proxy", remedy)
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
            after = quote(path + query, safe="")
            return RedirectResponse(f"{scope.get('root_path', '')}/login?next={after}", status_code=303)
        answer = _error_response(401, "no token, or none that is known", "send Authorization: Bearer SECRET, or log in")
        answer.headers["WWW-Authenticate"] = 'Bearer realm="coremachine"'
        return answer


class RequestReceiver:
    """What comes in, up to the limit of a body."""

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
    """What goes out, with the headers that every answer has, and for HEAD without the body."""

    def __init__(self, send: Send, *, head: bool) -> None:
        self._send = send
        self._head = head
        self.started = False

    async def __call__(self, message: Message) -> None:
        """Send one message on."""
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
    """Whether all but the body is asked for. A stream has no end to wait for, so it is not answered without one."""
    stream = EVENT_STREAM in Headers(scope=scope).get("accept", "") or scope["path"].endswith("/api/changes")
    return scope["method"] == "HEAD" and not stream


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _is_cross_site(headers: Headers) -> bool:
    """Whether another site's page made the browser send this. Programs send neither header."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return True
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _forbidden(scope: Scope, path: str, visitor: Visitor) -> Response | None:
    if scope["method"] in SAFE_METHODS or visitor.is_operator or path == "/logout":
        return None
    return _error_response(403, f"{visitor.name} is a viewer, and this changes something", "ask an operator")


def _declares_too_large(headers: Headers) -> Response | None:
    length = headers.get("content-length", "0")
    return _body_too_large() if length.isdecimal() and int(length[:20]) > BODY_LIMIT_BYTES else None


def _body_too_large() -> Response:
    what = f"a body of more than {BODY_LIMIT_BYTES:,} bytes"
    return problem_response(413, Problem(what=what, where="the body", remedy="send less: give a path, not the data"))


def _internal_error(error: Exception) -> Response:
    what = f"this could not be answered ({type(error).__name__})"
    remedy = "the server's log has the reason; report it"
    return problem_response(500, Problem(what=what, where="the server", remedy=remedy))


def _error_response(status: int, what: str, remedy: str) -> Response:
    return problem_response(status, Problem(what=what, where="the request", remedy=remedy))
