"""The requests that this process runs, so that they can be cancelled by id."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from inpaint.errors import RequestCancelledError

T = TypeVar("T")


class RunningRequests:
    """Tasks by request id. Clients choose ids, so one id may stand for several."""

    def __init__(self) -> None:
        self._tasks: dict[str, set[asyncio.Task[Any]]] = {}
        self._cancelled: set[asyncio.Task[Any]] = set()

    async def run(self, request_id: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which ends early when somebody cancels it or the caller ends.

        Raises:
            RequestCancelledError: `cancel` was called for this id.
        """
        task = asyncio.create_task(work)
        self._tasks.setdefault(request_id, set()).add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if task in self._cancelled:
                raise RequestCancelledError("The request was cancelled.") from None
            task.cancel()
            raise
        finally:
            self._cancelled.discard(task)
            self._tasks[request_id].discard(task)
            if not self._tasks[request_id]:
                del self._tasks[request_id]

    def cancel(self, request_id: str) -> bool:
        """Cancel every task of this id; False when there is none."""
        tasks = self._tasks.get(request_id, set())
        self._cancelled |= tasks
        for task in tasks:
            task.cancel()
        return bool(tasks)
