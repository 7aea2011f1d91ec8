"""Loaded models within a byte budget, of which only idle ones are evicted."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

Model = TypeVar("Model")


@dataclass(slots=True)
class _Entry(Generic[Model]):
    cost: int
    loading: asyncio.Task[Model]
    leases: int = 0


class ModelCache(Generic[Model]):
    """Models by name. A model is used under a lease; without one it may be evicted.

    A model that does not fit waits until enough leases end; a model larger than the whole budget
    is loaded alone. Two callers of the same model share one load, two loads of different models
    run side by side, and a caller that gives up does not stop a load that others may use.

    Belongs to the event loop of its first call. Nothing is awaited while the books are changed, so
    that neither a lock is needed nor a cancelled caller leaves them half written.

    Args:
        load: reads the model called `name`; what it raises reaches every caller that waits.
        cost: bytes that the model will hold.
        budget: bytes that all loaded models may hold together; can be changed at any time.
        on_evict: called with the names of models that were dropped, to give their memory back.
        patience_s: how long the first in line lets callers of loaded models pass, counted from
            the end of its predecessor's load; longer means fewer swaps under alternating load,
            shorter means a fairer share.
    """

    def __init__(
        self,
        load: Callable[[str], Awaitable[Model]],
        cost: Callable[[str], int],
        budget: int,
        on_evict: Callable[[Sequence[str]], None] = lambda names: None,
        patience_s: float = 2.0,
    ) -> None:
        self._load = load
        self._cost = cost
        self._on_evict = on_evict
        self._entries: OrderedDict[str, _Entry[Model]] = OrderedDict()  # least recently used first
        self._changed = asyncio.Event()  # set for a moment: wakes those who wait by then
        self._queue: dict[object, float] = {}  # who waits for room since when, first come first
        self._patience_s = patience_s
        self._turn_began = 0.0  # when the load of the last first in line ended
        self.budget = budget

    @property
    def held_bytes(self) -> int:
        """Bytes of all models that are loaded or being loaded."""
        return sum(entry.cost for entry in self._entries.values())

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the models that are ready or being loaded."""
        return tuple(self._entries)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the models that are ready."""
        return tuple(name for name, entry in self._entries.items() if entry.loading.done())

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Model]:
        """The model called `name`, loaded first if need be, and kept while the block runs."""
        entry = await self._claim(name)
        try:
            # The load goes on when this caller gives up: others may wait for it, or come later.
            yield await asyncio.shield(entry.loading)
        finally:
            self._release(entry)

    @asynccontextmanager
    async def pinned(self, name: str) -> AsyncIterator[None]:
        """Keep a model that is leased now, even when that lease ends while the block runs."""
        entry = self._entries[name]
        entry.leases += 1
        try:
            yield
        finally:
            self._release(entry)

    async def evict_idle(self) -> None:
        """Drop every model that nobody uses, e.g. after the device ran out of memory."""
        self._drop([name for name, entry in self._entries.items() if _is_idle(entry)])
        self._wake_waiting()

    async def _claim(self, name: str) -> _Entry[Model]:
        ticket, began = object(), asyncio.get_running_loop().time()
        try:
            while not self._may_enter(name, ticket):
                self._queue.setdefault(ticket, began)
                await self._changed.wait()
            is_turn = next(iter(self._queue), None) is ticket
        finally:
            if self._queue.pop(ticket, None) is not None:
                self._wake_waiting()
        if name not in self._entries:
            self._entries[name] = self._start_loading(name, is_turn)
        entry = self._entries[name]
        entry.leases += 1
        self._entries.move_to_end(name)
        return entry

    def _may_enter(self, name: str, ticket: object) -> bool:
        first = next(iter(self._queue), ticket)
        if first is not ticket and self._has_waited(first):
            return False  # callers of loaded models must not keep the first in line out for ever
        return name in self._entries or self._make_room(self._cost(name))

    def _has_waited(self, ticket: object) -> bool:
        # What a turn has loaded serves for a while, even if loading it took longer than that.
        since = max(self._queue[ticket], self._turn_began)
        return asyncio.get_running_loop().time() - since > self._patience_s

    def _start_loading(self, name: str, is_turn: bool) -> _Entry[Model]:
        loading = asyncio.create_task(self._loaded(name), name=f"load-{name}")
        loading.add_done_callback(partial(self._end_load, is_turn))
        return _Entry(self._cost(name), loading)

    async def _loaded(self, name: str) -> Model:
        try:
            return await self._load(name)
        except BaseException:
            del self._entries[name]  # the next caller tries again
            raise

    def _end_load(self, is_turn: bool, loading: "asyncio.Task[Model]") -> None:
        """Its callers may all have given up: mark a failure as seen, offer the room to others."""
        if loading.cancelled():
            return
        loading.exception()
        if is_turn:
            self._turn_began = asyncio.get_running_loop().time()
        self._wake_waiting()

    def _release(self, entry: _Entry[Model]) -> None:
        entry.leases -= 1
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        self._changed.set()
        self._changed.clear()

    def _make_room(self, cost: int) -> bool:
        """Evict idle models, oldest first, until `cost` fits; False when too much is in use."""
        room = self.budget - self.held_bytes
        chosen: list[str] = []
        for name, entry in self._entries.items():
            if room >= cost:
                break
            if _is_idle(entry):
                chosen.append(name)
                room += entry.cost
        fits = room >= cost or len(chosen) == len(self._entries)
        if fits:
            self._drop(chosen)
        return fits

    def _drop(self, names: list[str]) -> None:
        for name in names:
            del self._entries[name]
        if names:
            self._on_evict(names)


def _is_idle(entry: _Entry[Model]) -> bool:
    return entry.leases == 0 and entry.loading.done()
