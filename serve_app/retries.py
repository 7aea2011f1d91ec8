"""A lost replica is not a lost request: what was lost is asked for once more."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from inpaint.errors import InputRefusedError, ReplicaLostError
from inpaint.jobs import Upload

logger = logging.getLogger("ray.serve")

T = TypeVar("T")


class RefusedInputs:
    """Inputs that took down two replicas in a row, remembered for a while by their hash.

    Without this, a client that keeps sending such an input takes the whole family down.
    """

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._until: dict[bytes, float] = {}

    async def check(self, upload: Upload) -> None:
        """Raise InputRefusedError for an input that is on the list."""
        now = time.monotonic()
        self._until = {digest: until for digest, until in self._until.items() if until > now}
        if self._until and await asyncio.to_thread(_digest, upload) in self._until:
            raise InputRefusedError(
                "This input took down two replicas a moment ago and is refused for "
                f"{self._lifetime_s:g} s. Please report it to the operator."
            )

    async def add(self, upload: Upload) -> None:
        """Put an input on the list."""
        digest = await asyncio.to_thread(_digest, upload)
        self._until[digest] = time.monotonic() + self._lifetime_s


def _digest(upload: Upload) -> bytes:
    files = (upload.image, upload.mask, upload.example or b"")
    return b"".join(hashlib.blake2b(file).digest() for file in files)


class RetryOnce:
    """One request's right to ask again: once for the request, not once for each call.

    With its seed fixed the work is idempotent, so asking again is safe; but an input that kills
    its replica must not kill them all.

    Args:
        upload: what is refused when two replicas are lost.
        refused: takes note of it.
        on_retry: each is called before asking again.
    """

    def __init__(
        self, upload: Upload, refused: RefusedInputs, *on_retry: Callable[[], None]
    ) -> None:
        self._upload = upload
        self._refused = refused
        self._on_retry = on_retry
        self._is_used = False

    async def __call__(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` gives, or gives the second time after a ReplicaLostError.

        Raises:
            ReplicaLostError: the second time as well; the input is refused from now on.
        """
        try:
            return await attempt()
        except ReplicaLostError as error:
            if self._is_used:
                await self._refused.add(self._upload)
                raise
            self._is_used = True
            logger.warning("a replica died, asking again: %s", error.context)
        for tell in self._on_retry:
            tell()
        return await self(attempt)
