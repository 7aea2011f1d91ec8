"""What the sockets of a browser hear of its request, in IOPaint's events."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request

from inpaint.diffusion import Step
from serve_app.progress import Watcher
from serve_app.sockets.listeners import listener_in

PROGRESS, FINISH = "diffusion_progress", "diffusion_finish"

Tell = Callable[[str, str, dict[str, Any] | None], Awaitable[None]]
"""Sends an event to the sockets of the browser called so. Must not raise."""


class Progress(Watcher):
    """Sends one request's steps on, as fast as they can be told: of those that wait, the last.

    Args:
        listener: who hears of them.
        tell: how.
    """

    def __init__(self, listener: str, tell: Tell) -> None:
        self._listener = listener
        self._tell = tell
        self._step: int | None = None
        self._has_ended = False
        self._news = asyncio.Event()

    def step(self, step: Step) -> None:
        """See Watcher. IOPaint counts steps from 0."""
        self._step = step.number - 1
        self._news.set()

    def end(self) -> None:
        """The request has ended, well or not."""
        self._has_ended = True
        self._news.set()

    async def run(self) -> None:
        """Tell until the end."""
        while not self._has_ended:
            await self._news.wait()
            self._news.clear()
            if self._step is not None:
                step, self._step = self._step, None
                await self._tell(self._listener, PROGRESS, {"step": step})
        await self._tell(self._listener, FINISH, None)


class Announcer:
    """Has the requests of one process told of.

    Args:
        tell: how; None where there are no sockets.
    """

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()  # else nobody would hold them

    @contextmanager
    def announced(self, request: Request) -> Iterator[Watcher]:
        """A watcher for the block that runs `request`; a deaf one where nobody listens."""
        listener = listener_in(request.headers)
        if self._tell is None or listener is None:
            yield Watcher()
            return
        progress = Progress(listener, self._tell)
        task = asyncio.create_task(progress.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            yield progress
        finally:
            progress.end()
