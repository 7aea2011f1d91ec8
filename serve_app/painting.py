"""All tiles of one request through one model, side by side."""

import asyncio
from collections.abc import Sequence

from inpaint.jobs import Order
from inpaint.protocols import Painted
from inpaint.tiles import Cut
from serve_app.families import Family
from serve_app.retries import RetryOnce


class Painter:
    """Runs one request's tiles through its family; what a lost replica had is sent again.

    Args:
        family: serves the order's model.
        order: the model, its parameters and the deadline.
        retry: the request's right to ask again.
        at_once: most tiles that run at the same time.
    """

    def __init__(self, family: Family, order: Order, retry: RetryOnce, at_once: int) -> None:
        self._family = family
        self._order = order
        self._retry = retry
        self._room = asyncio.Semaphore(at_once)

    async def __call__(self, pieces: Sequence[Cut]) -> list[Painted]:
        """Answers in the order of `pieces`; see Family.paint for what is raised."""
        answers: dict[int, Painted] = {}
        await self._retry(lambda: self._attempt(pieces, answers))
        return [answers[index] for index in range(len(pieces))]

    async def _attempt(self, pieces: Sequence[Cut], answers: dict[int, Painted]) -> None:
        """Repaint what has no answer yet. The first error cancels the others."""
        tasks = [
            asyncio.create_task(self._one(index, piece, answers))
            for index, piece in enumerate(pieces)
            if index not in answers
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, index: int, piece: Cut, answers: dict[int, Painted]) -> None:
        order = self._order
        async with self._room:
            answers[index] = await self._family.paint(
                order.spec.name, piece.pixels, piece.holes, order.params, order.deadline
            )
