"""The layer that asks for an API key."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from inpaint.errors import InpaintError, UnauthorizedError
from serve_app.access.keys import ApiKey, Keyring, presented_in
from serve_app.access.limits import KeyLimits
from serve_app.web_files import web_files

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", *web_files()})
"""Paths that tell nothing and do nothing: probes have no key, nor has who reads up on the API. The
web page's files hold no secret; the page asks for a key when it is refused."""
WORK = "POST"
"""The method of what counts against a key's limits; asking for a state or cancelling does not."""

POLICY = 1008
"""Close code of the WebSocket registry; before the handshake it becomes a 403."""

Answer = Callable[[Request, InpaintError], Response]
"""Words an error in the way of the path that was asked for."""


class Guard:
    """Lets a request in that brings a known key, within the key's limits.

    Args:
        app: the application inside.
        keyring: who is let in.
        limits: how much each may ask; None for no limits.
        answer: words refusals. A WebSocket is closed instead.
    """

    def __init__(
        self, app: ASGIApp, keyring: Keyring, limits: KeyLimits | None, answer: Answer
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._limits = limits
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] not in ("http", "websocket") or _path(scope) in OPEN:
            await self._app(scope, receive, send)
            return
        with ExitStack() as counted:
            try:
                key = await self._key(Headers(scope=scope))
                if self._limits and scope.get("method") == WORK:
                    counted.enter_context(self._limits.counted(key))
            except InpaintError as error:
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": POLICY, "reason": error.code})
                    return
                await self._answer(Request(scope), error)(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _key(self, headers: Headers) -> ApiKey:
        if self._keyring.is_due:
            await asyncio.to_thread(self._keyring.refresh)
        presented = presented_in(headers)
        if presented is None:
            raise UnauthorizedError("Send an API key: the header 'Authorization: Bearer KEY'.")
        key = self._keyring.find(presented)
        if key is None:
            raise UnauthorizedError("This API key is not known here.")
        return key


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
