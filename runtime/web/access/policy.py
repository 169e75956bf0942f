"""Who may ask: tokens with roles, a trusted proxy, or, on loopback alone, whoever sits at this machine."""

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
    """How people are to be let in is said wrongly. Carries `setting` and `reason`."""

    def __init__(self, setting: str, reason: str) -> None:
        self.setting = setting
        self.reason = reason
        super().__init__(f"{setting}: {reason}")


class OpenAddressError(OperationError):
    """The pages would be open to anyone who reaches this address. Carries `host`."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(
            f"refusing to serve on {host} without authentication: anyone who reaches it could read results and cancel"
            " jobs. Set COREMACHINE_WEB_TOKENS (NAME:ROLE:SECRET, …) or COREMACHINE_WEB_TRUSTED_PROXIES, or serve on"
            " 127.0.0.1"
        )


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, with which role. `ambient`: the browser says so by itself, so another site could make it say so."""

    name: str
    role: Role
    ambient: bool = True

    @property
    def is_operator(self) -> bool:
        """Whether parameters, results and tracebacks are theirs to see, and jobs theirs to change."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that stands for somebody."""

    name: str
    role: Role
    secret: str


@dataclass(frozen=True, slots=True)
class Access:
    """How people are let in. With neither tokens nor proxies only this machine is, and as an operator."""

    tokens: tuple[Token, ...] = ()
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    url: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        """What the settings say. Raises AccessError."""
        return cls(
            tokens=_check_distinct([_parse_token(text) for text in _split_list(settings.web_tokens)]),
            proxies=tuple(_parse_network(text) for text in _split_list(settings.web_trusted_proxies)),
            hosts=frozenset(name.lower() for name in _split_list(settings.web_hosts)),
            url=_parse_url(settings.web_url),
        )

    @property
    def allows_anonymous(self) -> bool:
        """Whether nobody is asked who they are: for loopback alone."""
        return not self.tokens and not self.proxies

    def check_address(self, host: str) -> None:
        """Raise OpenAddressError where an address other than loopback would be served to anyone."""
        if self.allows_anonymous and not is_loopback(host):
            raise OpenAddressError(host)

    def scheme(self, peer: str | None, headers: Mapping[str, str], default: str) -> str:
        """The scheme, http or https, as the visitor's browser has it: TLS may end before it gets here."""
        if self.url is not None:
            return urlsplit(self.url).scheme
        claimed = headers.get(SCHEME_HEADER, "").partition(",")[0].strip().lower()
        return claimed if claimed in SCHEMES and self._is_trusted_proxy(peer) else default

    def visitor(self, peer: str | None, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Visitor | None:
        """Who asks, or None. `peer` is the address of the other end of the connection."""
        if self.allows_anonymous:
            return Visitor("loopback", "operator") if _is_local(peer, headers) else None
        return self._bearer_visitor(headers) or self._session_visitor(cookies) or self._proxy_visitor(peer, headers)

    def find_token(self, secret: str) -> Token | None:
        """The token with this secret. Takes as long for a wrong one as for a right one."""
        given = secret.encode(errors="replace")
        right = [token for token in self.tokens if hmac.compare_digest(token.secret.encode(), given)]
        return right[0] if right else None

    def _bearer_visitor(self, headers: Mapping[str, str]) -> Visitor | None:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        token = self.find_token(secret.strip()) if scheme.lower() == "bearer" else None
        return Visitor(token.name, token.role, ambient=False) if token else None

    def _session_visitor(self, cookies: Mapping[str, str]) -> Visitor | None:
        """Name, role and secret are those of one token: the one that has signed the cookie."""
        cookie = cookies.get(SESSION_COOKIE, "")
        signed = (token for token in self.tokens if is_valid_cookie(cookie, token.name, token.secret))
        return next((Visitor(token.name, token.role) for token in signed), None)

    def _proxy_visitor(self, peer: str | None, headers: Mapping[str, str]) -> Visitor | None:
        """Whom the proxy has let in (Azure Easy Auth), by the role that the directory gives them."""
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
    """Whether an address, or the name of one, reaches no further than this machine."""
    bare = host.strip("[]").lower()
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost"


def _is_local(peer: str | None, headers: Mapping[str, str]) -> bool:
    """A proxy on this machine is loopback too, and speaks for others: what it has forwarded is not from here."""
    return peer is not None and is_loopback(peer) and not PROXY_HEADERS & set(headers)


def _in_network(peer: str | None, network: IPv4Network | IPv6Network) -> bool:
    try:
        return peer is not None and ip_address(peer) in network
    except ValueError:
        return False


def _decode_principal(principal: str) -> dict[str, Any]:
    """The principal of Easy Auth: JSON in base64. What cannot be read lets nobody in."""
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
        raise AccessError("web_tokens", f"each is NAME:ROLE:SECRET, ROLE one of {', '.join(ROLES)}, comma between two")
    if "|" in parts[0]:
        raise AccessError("web_tokens", "a name holds no |, which parts a name from the rest of its cookie")
    if len(parts[2]) < MIN_SECRET_LENGTH:
        raise AccessError("web_tokens", f"the secret of {parts[0]} is shorter than {MIN_SECRET_LENGTH} characters")
    return Token(parts[0], parts[1], parts[2])


def _check_distinct(tokens: list[Token]) -> tuple[Token, ...]:
    """Two of one name, or one secret with two names: nobody could say who acted, and with which role."""
    names = [token.name for token in tokens]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise AccessError("web_tokens", f"{twice} is there twice; give each token a name of its own")
    if len({token.secret for token in tokens}) < len(tokens):
        raise AccessError("web_tokens", "two have the same secret; give each token one of its own")
    return tuple(tokens)


def _parse_url(text: str | None) -> str | None:
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise AccessError("web_url", f"{text!r} is no address of a site; give one such as https://jobs.example.org")
    return text.rstrip("/")


def _parse_network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise AccessError("web_trusted_proxies", f"{error}; give addresses or networks such as 10.0.0.0/8") from error
