"""All tiles of one request through one model: side by side, and once more if a replica dies."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence

from inpaint.errors import InputRefusedError, ReplicaLostError
from inpaint.jobs import Order, Upload
from inpaint.protocols import Painted
from inpaint.tiles import Cut
from serve_app.families import Family

logger = logging.getLogger("ray.serve")


class RefusedInputs:
    """Inputs that took down two replicas in a row, remembered for a while by their hash.

    Without this, a client that keeps sending such an input takes the whole family down.
    """

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._until: dict[bytes, float] = {}

    def check(self, upload: Upload) -> None:
        """Raise InputRefusedError for an input that is on the list."""
        now = time.monotonic()
        self._until = {digest: until for digest, until in self._until.items() if until > now}
        if self._until and _digest(upload) in self._until:  # hashed only when the list has any
            raise InputRefusedError(
                "This picture and mask took down two replicas a moment ago and are refused for "
                f"{self._lifetime_s:g} s. Please report them to the operator."
            )

    def add(self, upload: Upload) -> None:
        """Put an input on the list."""
        self._until[_digest(upload)] = time.monotonic() + self._lifetime_s


def _digest(upload: Upload) -> bytes:
    return hashlib.blake2b(upload.image).digest() + hashlib.blake2b(upload.mask).digest()


class Painter:
    """Runs one request's tiles through its family.

    A lost replica is not a lost request: with its seed fixed, repainting is idempotent, so what
    was not answered is sent again, once for the request and not once for each tile.
    """

    def __init__(
        self, family: Family, order: Order, upload: Upload, refused: RefusedInputs, at_once: int
    ) -> None:
        self._family = family
        self._order = order
        self._upload = upload
        self._refused = refused
        self._room = asyncio.Semaphore(at_once)
        self._answers: dict[int, Painted] = {}

    async def __call__(self, pieces: Sequence[Cut]) -> list[Painted]:
        """Answers in the order of `pieces`; see Family.paint for what is raised."""
        try:
            await self._attempt(pieces)
        except ReplicaLostError as error:
            logger.warning("a replica died, sending the rest again: %s", error.context)
            await self._last_attempt(pieces)
        return [self._answers[index] for index in range(len(pieces))]

    async def _last_attempt(self, pieces: Sequence[Cut]) -> None:
        try:
            await self._attempt(pieces)
        except ReplicaLostError:
            self._refused.add(self._upload)
            raise

    async def _attempt(self, pieces: Sequence[Cut]) -> None:
        """Repaint what has no answer yet. The first error cancels the others."""
        tasks = [
            asyncio.create_task(self._one(index, piece))
            for index, piece in enumerate(pieces)
            if index not in self._answers
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, index: int, piece: Cut) -> None:
        order = self._order
        async with self._room:
            self._answers[index] = await self._family.paint(
                order.spec.name, piece.pixels, piece.holes, order.params, order.deadline
            )
