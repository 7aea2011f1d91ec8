"""A request's progress and its result as server-sent events, in the words of one API.

docs/progress.md has those of the native API (native_events.py), docs/openai-api.md OpenAI's.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import Field
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from inpaint.diffusion import Step
from inpaint.errors import InpaintError
from inpaint.jobs import Order, Result
from inpaint.specs import Spec
from serve_app.accounts import Account
from serve_app.bodies import Body
from serve_app.error_shapes import log_failure
from serve_app.orders import read_fields
from serve_app.progress import Watcher

EVENTS = "text/event-stream"

OPEN_AFTER_S = 1.0
"""The stream opens with the first step, or this long after the start: what fails before that, as a
full queue does at once, still answers with its own HTTP status."""

HEARTBEAT_S = 15.0
"""A comment is sent when nothing else was for so long, so that no proxy takes the stream for dead;
nginx waits for 60 s by default."""

OffLoop = Callable[..., Awaitable[bytes]]
"""Gateway.off_loop, for calls that make bytes."""

logger = logging.getLogger("ray.serve")


class StreamFields(Spec):
    """Fields of POST /inpaint that only a stream of events has a use for."""

    previews: bool = Field(
        default=False,
        description="Whether step events bring a coarse picture along; text/event-stream only.",
    )


def take_stream_fields(body: Body) -> StreamFields:
    """The fields for the stream, which are then no longer among the body's."""
    fields, body.fields = read_fields(StreamFields, body.fields)
    return fields


@dataclass(frozen=True, slots=True)
class Told:
    """Something that became of a request."""

    step: Step | None
    """None: it was restarted."""
    elapsed_ms: float


class Words(Protocol):
    """How one API words what becomes of one request; b"" where it has no words for it.

    `told` and `finished` encode pictures, and are called where that is done.
    """

    def started(self, order: Order) -> bytes:
        """The stream is open."""
        ...

    def told(self, told: Told) -> bytes:
        """A step, or a restart."""
        ...

    def finished(self, result: Result) -> bytes:
        """The end of a good one."""
        ...

    def failed(self, error: InpaintError | None) -> bytes:
        """The end of a bad one; None is a defect of ours."""
        ...


class Events(Watcher):
    """Collects what becomes of one request."""

    def __init__(self, previews: bool) -> None:
        self.previews = previews
        self.order: Order | None = None
        self._began = time.perf_counter()
        self._is_known = asyncio.Event()
        self._is_open = asyncio.Event()
        self._told: asyncio.Queue[Told | None] = asyncio.Queue()

    def started(self, order: Order) -> None:
        """See Watcher."""
        self.order = order
        self._is_known.set()

    def step(self, step: Step) -> None:
        """See Watcher."""
        self._tell(step)

    def restarted(self) -> None:
        """See Watcher."""
        self._tell(None)

    def end(self, work: asyncio.Task[Result]) -> None:
        """Nothing more will come: the work has ended, maybe with nobody left to hear how."""
        if not work.cancelled():
            work.exception()
        self._told.put_nowait(None)
        self._is_known.set()
        self._is_open.set()

    async def begin(self) -> None:
        """Wait until it is time to open the stream."""
        await self._is_known.wait()
        try:
            await asyncio.wait_for(self._is_open.wait(), OPEN_AFTER_S)
        except TimeoutError:
            return

    async def next(self) -> Told | None:
        """What came next; None when nothing more will. TimeoutError: nothing yet."""
        return await asyncio.wait_for(self._told.get(), HEARTBEAT_S)

    def _tell(self, step: Step | None) -> None:
        self._told.put_nowait(Told(step, 1e3 * (time.perf_counter() - self._began)))
        self._is_open.set()


class EventStream(StreamingResponse):
    """Ends the work with the response: a client that hangs up needs no result."""

    def __init__(
        self, content: AsyncIterator[bytes], headers: Mapping[str, str], work: asyncio.Task[Result]
    ) -> None:
        super().__init__(content, headers=headers, media_type=EVENTS)
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()


async def stream(
    run: Callable[[Watcher], Coroutine[Any, Any, Result]],
    previews: bool,
    account: Account,
    off_loop: OffLoop,
    words: Words,
) -> EventStream:
    """Run a request and answer with its events.

    Args:
        run: runs it, and tells the watcher.
        previews: whether steps bring a picture.
        account: the request's.
        off_loop: runs a call where pictures are encoded.
        words: those of the API.

    Raises:
        Exception: what `run` raises before the stream is open.
    """
    events = Events(previews)
    work = asyncio.create_task(run(events))
    work.add_done_callback(events.end)
    try:
        await events.begin()
    except asyncio.CancelledError:
        work.cancel()
        raise
    if work.done() and (work.cancelled() or work.exception()):
        await work  # raises
    order = events.order
    if order is None:
        raise RuntimeError("a result without an order")
    headers = {
        "X-Model": order.spec.name,
        "X-Seed": str(order.seed),
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",  # nginx would collect the events
    }
    return EventStream(_content(events, order, work, account, off_loop, words), headers, work)


async def _content(
    events: Events,
    order: Order,
    work: asyncio.Task[Result],
    account: Account,
    off_loop: OffLoop,
    words: Words,
) -> AsyncIterator[bytes]:
    yield words.started(order)
    while True:
        try:
            told = await events.next()
        except TimeoutError:
            yield b": still running\n\n"
            continue
        if told is None:
            break
        yield await off_loop(words.told, told)
    try:
        yield await off_loop(words.finished, await work)
    except InpaintError as error:
        account.error = error.code
        log_failure(error)
        yield words.failed(error)
    except Exception:
        account.error = InpaintError.code
        logger.exception("request failed id=%s", account.request_id)
        yield words.failed(None)


def event(name: str, facts: Mapping[str, Any]) -> bytes:
    """One event of the HTML standard's format, its data as JSON."""
    return written(name, json.dumps(facts))


def written(name: str, text: str) -> bytes:
    """One event of the HTML standard's format; `text` has no line breaks, as JSON has none."""
    return f"event: {name}\ndata: {text}\n\n".encode()
