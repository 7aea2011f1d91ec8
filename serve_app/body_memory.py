"""The layer that bounds the bytes of bodies and answers in one process.

Serve's proxy takes bodies in while their requests wait for an ingress replica, and keeps answers
that a slow client has not read yet, as many and as large as they come. An ingress replica takes in
the body of every request that it was given. This layer lies around both.
"""

from collections.abc import Callable

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inpaint.errors import BodyTooLargeError, InpaintError
from inpaint.settings import MiB
from serve_app.access.guard import WORK, Answer
from serve_app.memory import Memory, Share


class BodyMemory:
    """Refuses requests whose body finds no room: 503, before a byte is read if it says its length.

    Args:
        app: the application inside.
        memory: what all bodies and answers share.
        max_body_bytes: a longer body is left to the application, which refuses it.
        answer: words refusals.
        admit: raises where no request that brings work is taken in, whatever it holds.
    """

    def __init__(
        self,
        app: ASGIApp,
        memory: Memory,
        max_body_bytes: Callable[[], int],
        answer: Answer,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._memory = memory
        self._max_body_bytes = max_body_bytes
        self._answer = answer
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._memory.share() as share:
            request = _Counted(share, self._declared(scope), self._memory.limit, receive, send)
            try:
                if scope["method"] == WORK:
                    self._admit()
                share.take(request.declared)
            except InpaintError as error:
                request.refusal = error
            else:
                await self._run(scope, request)
            if request.refusal and not request.has_begun:
                await self._answer(Request(scope), request.refusal)(scope, receive, send)

    async def _run(self, scope: Scope, request: "_Counted") -> None:
        try:
            await self._app(scope, request.receive, request.send)
        except Exception:
            if request.refusal is None:
                raise  # else it has only found that the client, as it was told, has gone

    def _declared(self, scope: Scope) -> int:
        """The length of the body, as far as it says so."""
        length = Headers(scope=scope).get("content-length", "")
        return min(int(length), self._max_body_bytes()) if length.isdecimal() else 0


class _Counted:
    """The two channels of one request, with what goes through them counted."""

    def __init__(
        self, share: Share, declared: int, limit: int, receive: Receive, send: Send
    ) -> None:
        self.declared = declared
        self.refusal: InpaintError | None = None
        self.has_begun = False
        self._share = share
        self._limit = limit
        self._received = 0
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """The next message; a body without room ends as if the client had gone."""
        if self.refusal:
            return {"type": "http.disconnect"}
        message = await self._receive()
        try:
            self._count(len(message.get("body", b"")))
        except InpaintError as error:
            self.refusal = error
            return {"type": "http.disconnect"}
        return message

    def _count(self, length: int) -> None:
        before = max(self._received, self.declared)
        self._received += length
        if self._received > self._limit:
            raise BodyTooLargeError(
                f"The body is larger than this server's {self._limit // MiB} MiB for all bodies."
            )
        if self._received > before:
            self._share.take(self._received - before)

    async def send(self, message: Message) -> None:
        """Send an answer's part, which takes memory until the client has read it."""
        if self.refusal and not self.has_begun:
            return
        self.has_begun = True
        length = len(message.get("body", b""))
        self._share.add(length)
        try:
            await self._send(message)
        finally:
            self._share.add(-length)
