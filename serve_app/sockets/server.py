"""The sockets of one process: who is connected, and telling them. Knows Socket.IO, not Serve."""

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import socketio
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from inpaint.errors import BodyTooLargeError, InpaintError, OverloadedError
from serve_app.access.guard import Answer
from serve_app.sockets.listeners import cookie_of, listener_in, new_listener

NAMESPACE = "/"
MAX_PACKET_BYTES = 10_000
"""Clients have nothing to say but that they are there."""
MAX_WAITING = 100
"""Packets that wait for one client. A slower one misses steps, of which only the last counts."""
FULL_RETRY_S = 30.0
TRY_LATER, NORMAL = 1013, 1000
"""Close codes of the WebSocket registry."""

QUIET = logging.getLogger(f"{__name__}.protocol")
"""For the protocol's own words, which repeat what clients wrote."""
QUIET.setLevel(logging.CRITICAL)
QUIET.propagate = False


class SocketServer:
    """An ASGI application that speaks Socket.IO, and the way to tell its clients something.

    Args:
        origins: of other pages that may connect, or "*"; a page of this server always may.
        max_connections: more are refused.
        answer: words refusals.
    """

    def __init__(self, origins: tuple[str, ...], max_connections: int, answer: Answer) -> None:
        self._origins = frozenset(origins)
        self._max_connections = max_connections
        self._answer = answer
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins=self._is_welcome,
            cors_credentials=False,
            max_http_buffer_size=MAX_PACKET_BYTES,
            http_compression=False,
            logger=QUIET,
            engineio_logger=QUIET,
        )
        self._server.on("connect", self._connected)

    @property
    def connections(self) -> int:
        """Clients that are connected, or about to be."""
        return len(self._server.eio.sockets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification. Only a handshake brings no "sid"."""
        is_handshake = b"sid" not in parse_qs(scope.get("query_string", b""))
        refusal = self._refusal(scope, is_handshake)
        if refusal is not None:
            await self._refuse(refusal, scope, receive, send)
            return
        known = listener_in(Headers(scope=scope))
        listener = known or new_listener()
        scope = {**scope, "state": {**scope.get("state", {}), "listener": listener}}
        gives_cookie = is_handshake and known is None

        async def completed(message: Message) -> None:
            if gives_cookie and message["type"] in ("http.response.start", "websocket.accept"):
                message.setdefault("headers", [])
                cookie = cookie_of(listener, is_secure=_is_secure(scope))
                MutableHeaders(scope=message).append("set-cookie", cookie)
            if message["type"] == "websocket.close":
                message.setdefault("code", NORMAL)  # Serve's proxy asks for it
            await send(message)

        await self._server.handle_request(scope, receive, completed)

    async def tell(self, listener: str, event: str, data: dict[str, Any] | None) -> None:
        """Send an event to every socket of one browser; to nobody where it has none."""
        for sid, transport in list(self._server.manager.get_participants(NAMESPACE, listener)):
            socket = self._server.eio.sockets.get(transport)
            if socket is not None and socket.queue.qsize() < MAX_WAITING:
                await self._server.emit(event, data, to=sid)

    async def _connected(self, sid: str, environ: dict[str, Any]) -> None:
        await self._server.enter_room(sid, environ["asgi.scope"]["state"]["listener"])

    def _is_welcome(self, origin: str | None, environ: dict[str, Any]) -> bool:
        """Whether a page may connect. Its scheme is not looked at: TLS may end before us."""
        if origin is None or "*" in self._origins or origin in self._origins:
            return True
        own = (environ.get(name, "") for name in ("HTTP_HOST", "HTTP_X_FORWARDED_HOST"))
        return urlsplit(origin).netloc in {host.split(",")[0].strip() for host in own if host}

    def _refusal(self, scope: Scope, is_handshake: bool) -> InpaintError | None:
        """Why the protocol does not get to see a request. Of a long packet it would itself say so
        only once the client polls again.
        """  # noqa: D205  one sentence
        if is_handshake and self.connections >= self._max_connections:
            return OverloadedError(
                "As many pages listen for progress as this server takes; everything else works.",
                {"retry_after_s": FULL_RETRY_S},
            )
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_PACKET_BYTES:
            return BodyTooLargeError(f"Packets have at most {MAX_PACKET_BYTES} bytes here.")
        return None

    async def _refuse(
        self, refusal: InpaintError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "websocket":
            close = {"type": "websocket.close", "code": TRY_LATER, "reason": refusal.code}
            await send(close)
        else:
            await self._answer(Request(scope), refusal)(scope, receive, send)


def _is_secure(scope: Scope) -> bool:
    """Whether the browser came by TLS, which may end at a load balancer."""
    forwarded = Headers(scope=scope).get("x-forwarded-proto", "")
    return scope.get("scheme") in ("https", "wss") or forwarded.split(",")[0].strip() == "https"
