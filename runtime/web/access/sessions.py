"""The session cookie: a user name and an expiry time, signed with the user's token. Removing the token revokes it."""

import hmac
import time
from hashlib import sha256

SESSION_SECONDS = 12 * 3600
COOKIE_PARTS = 3


def new_cookie(name: str, secret: str) -> str:
    """A cookie for the user of this token, valid for twelve hours."""
    # not the database's clock: only this process reads the expiry, and no event records it
    expires_at = int(time.time()) + SESSION_SECONDS
    return f"{name}|{expires_at}|{_signature(name, expires_at, secret)}"


def is_valid_cookie(cookie: str, name: str, secret: str) -> bool:
    """Whether the cookie was signed with this name and secret and has not expired."""
    parts = cookie.split("|")
    if len(parts) != COOKIE_PARTS or not (parts[1].isascii() and parts[1].isdecimal()) or parts[0] != name:
        return False
    expires_at = int(parts[1][:20])
    signed = hmac.compare_digest(_signature(name, expires_at, secret).encode(), parts[2].encode())
    return signed and expires_at > time.time()


def _signature(name: str, expires_at: int, secret: str) -> str:
    return hmac.new(secret.encode(), f"coremachine session|{name}|{expires_at}".encode(), sha256).hexdigest()
