"""The cookie by which a browser's sockets and its requests are known to belong together."""

import re
import secrets
from collections.abc import Mapping

from starlette.requests import cookie_parser

COOKIE = "inpaint_listener"
RANDOM_BYTES = 32
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{43}")
"""RANDOM_BYTES as secrets.token_urlsafe writes them."""


def new_listener() -> str:
    """A name that nobody can guess: who knows it hears what its browser hears."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def listener_in(headers: Mapping[str, str]) -> str | None:
    """The name that a request brings; None where it brings none, or one that was not made here."""
    name = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    return name if _WELL_FORMED.fullmatch(name) else None


def cookie_of(listener: str, *, is_secure: bool) -> str:
    """The value of a Set-Cookie header. The cookie ends with the browser's session.

    Scripts do not see it, and pages of other sites do not send it.
    """
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={listener}; Path=/; HttpOnly; SameSite=Strict{secure}"
