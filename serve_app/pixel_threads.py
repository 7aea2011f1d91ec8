"""The threads on which the edge touches pixels, so that its event loop never does."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import ParamSpec, TypeVar

import cv2

from inpaint.cpus import usable_cpus

P = ParamSpec("P")
T = TypeVar("T")


class PixelThreads:
    """A bounded pool; what does not fit waits. OpenCV runs single-threaded inside it."""

    def __init__(self, count: int | None) -> None:
        cv2.setNumThreads(1)  # concurrency comes from requests, not from within one
        self._pool = ThreadPoolExecutor(count or usable_cpus(), thread_name_prefix="pixels")
        self._waiting: dict[object, float] = {}
        """When each call that waits came; the oldest is the first."""
        self._lock = Lock()

    @property
    def waiting_s(self) -> float:
        """How long the next call to begin has waited."""
        with self._lock:
            came = next(iter(self._waiting.values()), None)
        return 0.0 if came is None else time.monotonic() - came

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `call(*args, **kwargs)`, computed on a thread of the pool."""
        ticket, work = object(), partial(call, *args, **kwargs)

        def begin() -> T:
            self._leave(ticket)
            return work()

        with self._lock:
            self._waiting[ticket] = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, begin)
        finally:
            self._leave(ticket)  # cancelled before its turn, it waits no longer

    def _leave(self, ticket: object) -> None:
        with self._lock:
            self._waiting.pop(ticket, None)
