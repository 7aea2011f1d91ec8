"""What one API key may ask for: requests a minute, and at once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from inpaint.errors import RateLimitedError
from serve_app.access.keys import ApiKey

BURST_S = 10.0
"""Seconds' worth of requests that may come at once."""
BUSY_RETRY_S = 1.0
"""When to try again where too many run; nobody knows when one ends."""


@dataclass(slots=True)
class _Account:
    tokens: float
    at: float
    """When `tokens` was right, by the monotonic clock."""
    running: int = 0


class KeyLimits:
    """Counts what each key asks of this ingress replica.

    The proxies spread requests evenly, so each replica grants its share of a limit; one request at
    a time is always granted.

    Args:
        replicas: how many ingress replicas share the limits now.
        clock: seconds, monotonic.
    """

    def __init__(
        self, replicas: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._replicas = replicas
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    @contextmanager
    def counted(self, key: ApiKey) -> Iterator[None]:
        """Count a request of `key` while the block runs.

        Raises:
            RateLimitedError: it is one too many; says when to try again.
        """
        share = 1 / max(1, self._replicas())
        account = self._account(key, share)
        if key.concurrent is not None and account.running >= max(1, key.concurrent * share):
            raise RateLimitedError(
                f"The key '{key.name}' may run {key.concurrent} requests at once; wait for one "
                "to end.",
                {"key": key.name, "retry_after_s": BUSY_RETRY_S},
            )
        if key.requests_per_minute is not None:
            if account.tokens < 1:
                wait_s = (1 - account.tokens) / (key.requests_per_minute * share / 60)
                raise RateLimitedError(
                    f"The key '{key.name}' may send {key.requests_per_minute:g} requests a minute.",
                    {"key": key.name, "retry_after_s": wait_s},
                )
            account.tokens -= 1
        account.running += 1
        try:
            yield
        finally:
            account.running -= 1

    def _account(self, key: ApiKey, share: float) -> _Account:
        """The key's account as it stands now, filled up for the time since it was looked at."""
        per_s = (key.requests_per_minute or 0) * share / 60
        full = max(1.0, per_s * BURST_S)
        now = self._clock()
        account = self._accounts.setdefault(key.name, _Account(full, now))
        account.tokens = min(full, account.tokens + per_s * (now - account.at))
        account.at = now
        return account
