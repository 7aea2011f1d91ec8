"""Batches of like items, made of what queued up while the device was busy."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]


class KeyedBatcher(Generic[Key, Item, Result]):
    """Runs items one batch at a time; a batch holds items of one key.

    There is no timer: an item that finds the device idle runs at once, alone; items that come
    while it is busy wait and go together. Keys take turns, so that no key starves another. A
    cancelled caller's item is dropped if it still waits; one that runs finishes unheard.

    Belongs to the event loop of its first call.

    Args:
        run: takes a key and its items, answers one result for each, in order. When it raises
            with several items, each is run again alone, so that one bad item fails alone.
        max_items: how many items of this key one batch may hold, at least 1. What it raises fails
            the items of this key that wait.
        on_waiting: told how many items wait for the device, each time that this changes.
    """

    def __init__(
        self,
        run: Callable[[Key, Sequence[Item]], Awaitable[Sequence[Result]]],
        max_items: Callable[[Key], int],
        on_waiting: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._run = run
        self._max_items = max_items
        self._on_waiting = on_waiting
        self._queues: OrderedDict[Key, deque[_Waiting[Item, Result]]] = OrderedDict()
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Items that wait for the device."""
        return sum(len(queue) for queue in self._queues.values())

    async def submit(self, key: Key, item: Item) -> Result:
        """The result of `item`; raises what `run` raised for it."""
        waiting = _Waiting[Item, Result](item, asyncio.get_running_loop().create_future())
        self._queues.setdefault(key, deque()).append(waiting)
        self._on_waiting(self.waiting)
        if self._worker is None:
            self._worker = asyncio.create_task(
                self._work(),
                name="keyed-batcher",
                context=Context(),  # its log lines are no one request's
            )
        return await waiting.future

    async def _work(self) -> None:
        """Runs batches until nothing waits; the next submit starts it again."""
        try:
            while self._queues:
                key, batch = self._next_batch()
                self._on_waiting(self.waiting)
                if batch:
                    await self._answer(key, batch)
        finally:
            self._worker = None

    def _next_batch(self) -> tuple[Key, list[_Waiting[Item, Result]]]:
        key, queue = self._queues.popitem(last=False)
        batch: list[_Waiting[Item, Result]] = []
        try:
            limit = max(1, self._max_items(key))
        except Exception as error:  # noqa: BLE001  handed to the callers, whatever it is
            for waiting in queue:
                _fail(waiting, error)
            return key, batch
        while queue and len(batch) < limit:
            waiting = queue.popleft()
            if not waiting.future.done():
                batch.append(waiting)
        if queue:
            self._queues[key] = queue  # to the back of the line
        return key, batch

    async def _answer(self, key: Key, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            results = await self._run(key, [waiting.item for waiting in batch])
            answered = list(zip(batch, results, strict=True))
        except Exception as error:  # noqa: BLE001  handed to the callers, whatever it is
            if len(batch) > 1:
                for waiting in batch:
                    if not waiting.future.done():
                        await self._answer(key, [waiting])
            else:
                _fail(batch[0], error)
            return
        for waiting, result in answered:
            if not waiting.future.done():
                waiting.future.set_result(result)


def _fail(waiting: _Waiting[Item, Result], error: Exception) -> None:
    if not waiting.future.done():
        waiting.future.set_exception(error)
