"""The threads on which the edge touches pixels, so that its event loop never does."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import cv2

P = ParamSpec("P")
T = TypeVar("T")


class PixelThreads:
    """A bounded pool; what does not fit waits. OpenCV runs single-threaded inside it."""

    def __init__(self, count: int | None) -> None:
        cv2.setNumThreads(1)  # concurrency comes from requests, not from within one
        self._pool = ThreadPoolExecutor(count or os.cpu_count(), thread_name_prefix="pixels")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `call(*args, **kwargs)`, computed on a thread of the pool."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(call, *args, **kwargs))
