"""When a request is sent again, and after how long."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from inpaint_client.errors import InpaintClientError

logger = logging.getLogger("inpaint_client")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and for how long.

    The pause before a retry is what `Retry-After` asks for, and something on top so that clients
    that were refused together do not come back together. Without the header it doubles from
    `first_pause_s` to `longest_pause_s`, of which a random half to whole is taken.
    """

    attempts: int = 5
    """The first one included."""
    total_s: float = 60.0
    """No attempt begins later than this after the first one."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 15.0


NO_RETRIES = RetryPolicy(attempts=1)


class Attempts:
    """The attempts of one call.

    Args:
        policy: how often.
        budget_s: the call's whole time, over all attempts; None: no limit but the policy's.
        clock: seconds from anywhere.
        dice: from 0 to 1.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        budget_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._dice = dice
        self._made = 0
        began = clock()
        self._retry_until = began + policy.total_s
        self._end = None if budget_s is None else began + budget_s

    @property
    def left_s(self) -> float | None:
        """What is left of the budget for an attempt that begins now; None: no limit."""
        return None if self._end is None else self._end - self._clock()

    def pause_after(self, error: InpaintClientError) -> float:
        """How long to wait before the next attempt.

        Raises:
            InpaintClientError: `error`, where there is none to be.
        """
        self._made += 1
        if not error.can_be_tried_again or self._made >= self._policy.attempts:
            raise error
        pause = self._pause(error.retry_after_s)
        until = self._retry_until if self._end is None else min(self._retry_until, self._end)
        if self._clock() + pause >= until:
            raise error
        logger.info("attempt %d failed, the next in %.1f s: %s", self._made, pause, error)
        return pause

    def _pause(self, asked_s: float | None) -> float:
        policy = self._policy
        doubled = policy.first_pause_s * 2.0 ** min(self._made - 1, 30)
        longest = min(doubled, policy.longest_pause_s)
        if asked_s is None:
            return longest * (0.5 + 0.5 * self._dice())
        return asked_s + longest * self._dice()
