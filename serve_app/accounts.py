"""What becomes of one request, noted on its way: for its headers, its log line, metrics, traces."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import Scope

from inpaint.jobs import Timings

OTHER = "OTHER"
"""Stands for a method or a route that the service does not have: both are the client's words."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Account:
    """One request. Holds nothing that a client wrote but its id, which is well formed."""

    request_id: str
    method: str = OTHER
    """One of METHODS, or OTHER."""
    route: str = OTHER
    """The pattern of the route, e.g. "/models/{name:path}"."""
    timings: Timings = field(default_factory=Timings)
    """The stages, those of a request that failed as far as it came."""
    family: str = ""
    """The deployment that was asked; empty for a request that asks none."""
    model: str = ""
    tiles: int = 0
    """How many were repainted."""
    retries: int = 0
    """How often what a lost replica had was asked for again."""
    error: str = ""
    """The code of the error that was answered; see docs/problems.md."""
    status: int = 0
    """Of the answer; 0 when the client left before it began."""
    received: int = 0
    """Bytes of the request's body, as far as it was read."""
    sent: int = 0
    """Bytes of the answer's body."""
    began: float = field(default_factory=time.perf_counter)
    duration_ms: float = 0.0
    """Until the last byte of the answer; 0 while the request runs."""

    @property
    def age_ms(self) -> float:
        """Since the request came."""
        return 1e3 * (time.perf_counter() - self.began)

    def chose(self, family: str, model: str) -> None:
        """Note who works on the request."""
        self.family, self.model = family, model

    def retried(self) -> None:
        """Note that a replica was lost, and its work is asked for again."""
        self.retries += 1


Settled = Callable[[Account], None]
"""Told of each account when its request has ended. Runs on the event loop and must not raise."""


def account_of(scope: Scope) -> Account:
    """The account that Accounts (middleware.py) opened for the request."""
    account: Account = scope["state"]["account"]
    return account


def note_error(scope: Scope, code: str) -> None:
    """Note the code of the error that is answered; nothing in a proxy, which keeps no accounts."""
    account: Account | None = scope.get("state", {}).get("account")
    if account is not None:
        account.error = code
