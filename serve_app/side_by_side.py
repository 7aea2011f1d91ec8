"""Several calls of one request at once, and again those that a lost replica had."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from serve_app.retries import RetryOnce

T = TypeVar("T")

Call = Callable[[], Awaitable[T]]


async def answer_all(calls: Sequence[Call[T]], retry: RetryOnce, at_once: int) -> list[T]:
    """The answers of all calls, in order.

    The first error cancels the others. A lost replica may have had several of them: all that have
    no answer are made once more, together, which is one retry.

    Args:
        calls: what to do; may be called twice.
        retry: the request's right to ask again.
        at_once: most calls under way at the same time.
    """
    answers: dict[int, T] = {}

    async def one(index: int, room: asyncio.Semaphore) -> None:
        async with room:
            answers[index] = await calls[index]()

    async def attempt() -> None:
        room = asyncio.Semaphore(at_once)
        missing = [index for index in range(len(calls)) if index not in answers]
        await _together([partial(one, index, room) for index in missing])

    await retry(attempt)
    return [answers[index] for index in range(len(calls))]


async def _together(calls: Sequence[Call[None]]) -> None:
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
