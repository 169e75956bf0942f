"""The cookie of a login: a name and an end, signed with the token that was shown. Without that token it is nothing."""

import hmac
import time
from hashlib import sha256

SESSION_SECONDS = 12 * 3600
COOKIE_PARTS = 3


def new_cookie(name: str, secret: str) -> str:
    """A cookie for the holder of this token, good for twelve hours."""
    # The end is for this process's own use, and no event: the database's clock has no part in it.
    expires_at = int(time.time()) + SESSION_SECONDS
    return f"{name}|{expires_at}|{_signature(name, expires_at, secret)}"


def is_valid_cookie(cookie: str, name: str, secret: str) -> bool:
    """Whether the token of this name and secret has signed the cookie, and its end is to come."""
    parts = cookie.split("|")
    if len(parts) != COOKIE_PARTS or not (parts[1].isascii() and parts[1].isdecimal()) or parts[0] != name:
        return False
    expires_at = int(parts[1][:20])
    signed = hmac.compare_digest(_signature(name, expires_at, secret).encode(), parts[2].encode())
    return signed and expires_at > time.time()


def _signature(name: str, expires_at: int, secret: str) -> str:
    return hmac.new(secret.encode(), f"coremachine session|{name}|{expires_at}".encode(), sha256).hexdigest()
