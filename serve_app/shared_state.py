"""What ingress replicas share, as the Registry tells it: asked once a second, at most."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from inpaint.errors import UnavailableError
from inpaint.reports import ServiceState

STATE_LIFETIME_S = 1.0
"""How old the Registry's answer may be before it is asked again."""

PATIENCE_S = 1.0
"""How long a request waits for the Registry; while it is late, no other one does."""

ANSWER_LIMIT_S = 10.0
"""When an answer counts as lost."""

GRACE_S = 15.0
"""How long the last answer holds while no new one comes: a busy Registry is not a lost one."""

logger = logging.getLogger("ray.serve")


class SharedState:
    """The Registry as one ingress replica sees it.

    Args:
        ask: asks the Registry; raises when it does not answer.
        choose: makes a model the default of all ingress replicas; raises likewise.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[ServiceState]],
        choose: Callable[[str], Awaitable[None]],
    ) -> None:
        self._ask = ask
        self._choose = choose
        self._state = ServiceState({})
        self._heard_at = -GRACE_S
        self._stale_at = 0.0
        self._is_late = False
        self._asking: asyncio.Task[None] | None = None

    async def now(self) -> ServiceState:
        """The Registry's answer, up to a second old; an empty one once the Registry is gone."""
        if time.monotonic() >= self._stale_at:
            self._asking = self._asking or asyncio.create_task(self._ask_anew())
            if not self._is_late:
                finished, _ = await asyncio.wait({self._asking}, timeout=PATIENCE_S)
                self._is_late = self._is_late or not finished
        is_known = time.monotonic() - self._heard_at < GRACE_S
        return self._state if is_known else ServiceState({})

    async def choose_default(self, name: str) -> None:
        """Make a model everybody's default; this replica sees it at once.

        Raises:
            UnavailableError: the Registry does not answer.
        """
        try:
            await asyncio.wait_for(self._choose(name), ANSWER_LIMIT_S)
        except Exception as error:
            raise UnavailableError(
                "The default model cannot be changed at the moment; try again shortly, or name "
                "the model in each request."
            ) from error
        finally:
            self.forget()
        self._hear(replace(self._state, default_model=name))  # until it is asked, which is next

    def forget(self) -> None:
        """Let whoever asks next hear from the Registry, not from an answer that is under way."""
        self._stale_at = 0.0
        self._asking = None

    async def _ask_anew(self) -> None:
        try:
            state = await asyncio.wait_for(self._ask(), ANSWER_LIMIT_S)
        except Exception as error:  # noqa: BLE001  whatever is wrong with it, the rest works on
            logger.warning("the registry does not answer: %s", type(error).__name__)
            state = None
        if self._asking is not asyncio.current_task():
            return  # the answer may be older than a change
        self._asking = None
        self._stale_at = time.monotonic() + STATE_LIFETIME_S
        self._is_late = state is None
        if state is not None:
            self._hear(state)

    def _hear(self, state: ServiceState) -> None:
        self._state = state
        self._heard_at = time.monotonic()
        self._is_late = False
