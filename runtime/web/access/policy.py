"""Who has access: users with tokens, users of a trusted proxy, or, on loopback only, the users of this machine."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from ....statemachine.errors import OperationError
from ...settings import Settings
from .sessions import is_valid_cookie

Role = Literal["viewer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
SESSION_COOKIE = "coremachine_session"
MIN_SECRET_LENGTH = 20
PRINCIPAL_HEADER = "x-ms-client-principal"
SCHEME_HEADER = "x-forwarded-proto"
SCHEMES = ("http", "https")
PROXY_HEADERS = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})


class AccessError(OperationError):
    """An access setting is invalid. Carries `setting` and `reason`."""

    def __init__(self, setting: str, reason: str) -> None:
        self.setting = setting
        self.reason = reason
        super().__init__(f"{setting}: {reason}")


class OpenAddressError(OperationError):
    """The address is not loopback, and no authentication is configured. Carries `host`."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"refusing to serve on {host} without authentication: anyone who can reach it could read results and"
            " cancel jobs. Set COREMACHINE_WEB_TOKENS (NAME:ROLE:SECRET, …) or COREMACHINE_WEB_TRUSTED_PROXIES, or"
            " serve on 127.0.0.1"
        )


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent a request.

    `ambient`: the browser sends the credentials by itself, so another site can make it send a request with them.
    """

    name: str
    role: Role
    ambient: bool = True

    @property
    def is_operator(self) -> bool:
        """Whether the visitor may see parameters, results and tracebacks, and change jobs."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """A user's secret."""

    name: str
    role: Role
    secret: str


@dataclass(frozen=True, slots=True)
class Access:
    """The access policy. Without tokens and proxies only requests from this machine are allowed, as operator."""

    tokens: tuple[Token, ...] = ()
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    url: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        """The policy of the settings. Raises AccessError."""
        return cls(
            tokens=_check_distinct([_parse_token(text) for text in _split_list(settings.web_tokens)]),
            proxies=tuple(_parse_network(text) for text in _split_list(settings.web_trusted_proxies)),
            hosts=frozenset(name.lower() for name in _split_list(settings.web_hosts)),
            url=_parse_url(settings.web_url),
        )

    @property
    def allows_anonymous(self) -> bool:
        """Whether no authentication is configured. Then only loopback is allowed."""
        return not self.tokens and not self.proxies

    def check_address(self, host: str) -> None:
        """Raise OpenAddressError for any address except loopback if no authentication is configured."""
        if self.allows_anonymous and not is_loopback(host):
            raise OpenAddressError(host)

    def scheme(self, peer: str | None, headers: Mapping[str, str], default: str) -> str:
        """The scheme that the visitor's browser uses, http or https. A proxy may terminate TLS before this server."""
        if self.url is not None:
            return urlsplit(self.url).scheme
        claimed = headers.get(SCHEME_HEADER, "").partition(",")[0].strip().lower()
        return claimed if claimed in SCHEMES and self._is_trusted_proxy(peer) else default

    def visitor(self, peer: str | None, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Visitor | None:
        """Who sent a request, or None if unknown. `peer` is the remote address of the connection."""
        if self.allows_anonymous:
            return Visitor("loopback", "operator") if _is_local(peer, headers) else None
        return self._bearer_visitor(headers) or self._session_visitor(cookies) or self._proxy_visitor(peer, headers)

    def find_token(self, secret: str) -> Token | None:
        """The token with this secret. Takes the same time for a wrong secret as for a right one."""
        given = secret.encode(errors="replace")
        matching = [token for token in self.tokens if hmac.compare_digest(token.secret.encode(), given)]
        return matching[0] if matching else None

    def _bearer_visitor(self, headers: Mapping[str, str]) -> Visitor | None:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        token = self.find_token(secret.strip()) if scheme.lower() == "bearer" else None
        return Visitor(token.name, token.role, ambient=False) if token else None

    def _session_visitor(self, cookies: Mapping[str, str]) -> Visitor | None:
        """The visitor whose token signed the cookie."""
        cookie = cookies.get(SESSION_COOKIE, "")
        signed = (token for token in self.tokens if is_valid_cookie(cookie, token.name, token.secret))
        return next((Visitor(token.name, token.role) for token in signed), None)

    def _proxy_visitor(self, peer: str | None, headers: Mapping[str, str]) -> Visitor | None:
        """The visitor that the proxy authenticated (Azure Easy Auth), with the role from the directory."""
        if not self._is_trusted_proxy(peer):
            return None
        principal = _decode_principal(headers.get(PRINCIPAL_HEADER, ""))
        claim_types = {"roles", str(principal.get("role_typ"))}
        claimed = principal.get("claims")
        claims = cast("list[object]", claimed) if isinstance(claimed, list) else []
        dicts = [cast("dict[str, object]", one) for one in claims if isinstance(one, dict)]
        roles = {str(one.get("val")).lower() for one in dicts if one.get("typ") in claim_types}
        name = headers.get(f"{PRINCIPAL_HEADER}-name") or "proxy"
        return next((Visitor(name[:100], role) for role in reversed(ROLES) if role in roles), None)

    def _is_trusted_proxy(self, peer: str | None) -> bool:
        return any(_in_network(peer, network) for network in self.proxies)


def is_loopback(host: str) -> bool:
    """Whether an address or a host name is loopback."""
    bare = host.strip("[]").lower()
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost"


def _is_local(peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether the request was sent on this machine. A proxy on loopback forwards requests from elsewhere."""
    return peer is not None and is_loopback(peer) and not PROXY_HEADERS & set(headers)


def _in_network(peer: str | None, network: IPv4Network | IPv6Network) -> bool:
    try:
        return peer is not None and ip_address(peer) in network
    except ValueError:
        return False


def _decode_principal(principal: str) -> dict[str, Any]:
    """The Easy Auth principal: JSON in base64. An unreadable one gives no access."""
    try:
        found = json.loads(base64.b64decode(principal, validate=True))
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _split_list(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _parse_token(text: str) -> Token:
    parts = text.split(":")
    if len(parts) != len(Token.__match_args__) or parts[1] not in ROLES or not parts[0]:
        raise AccessError("web_tokens", f"expected NAME:ROLE:SECRET, …; ROLE is one of {', '.join(ROLES)}")
    if "|" in parts[0]:
        raise AccessError("web_tokens", "a name must not contain |, the separator in the session cookie")
    if len(parts[2]) < MIN_SECRET_LENGTH:
        raise AccessError("web_tokens", f"the secret of {parts[0]} is shorter than {MIN_SECRET_LENGTH} characters")
    return Token(parts[0], parts[1], parts[2])


def _check_distinct(tokens: list[Token]) -> tuple[Token, ...]:
    """Refuse duplicate names and secrets: the event log could not tell the users apart."""
    names = [token.name for token in tokens]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise AccessError("web_tokens", f"{duplicate} occurs twice; give each token its own name")
    if len({token.secret for token in tokens}) < len(tokens):
        raise AccessError("web_tokens", "two tokens have the same secret; give each its own")
    return tuple(tokens)


def _parse_url(text: str | None) -> str | None:
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise AccessError("web_url", f"{text!r} is not a site's URL; example: https://jobs.example.org")
    return text.rstrip("/")


def _parse_network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        reason = f"{error}; expected addresses or networks, for example 10.0.0.0/8"
        raise AccessError("web_trusted_proxies", reason) from error
