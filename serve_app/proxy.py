"""Layers for Serve's own HTTP proxy, where no load balancer stands before it.

Serve lets a client switch its timeout and its cancellation off by a header: both are stripped. And
it takes in the bodies of requests that still wait for an ingress replica, without a limit: here
they have one. And it has no word for an ingress replica that died with a request: here it has.
Switched on by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve_app.proxy:layers in the environment
of the cluster; `make run` and `start` set it. Behind HAProxy or an ingress controller, do the same
there: these layers are Serve's Python proxy's only.
"""

import os

from fastapi import Request
from fastapi.responses import Response
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from inpaint.errors import InpaintError
from inpaint.settings import MiB
from serve_app.accounts import Account
from serve_app.body_memory import BodyMemory
from serve_app.every_error import error_shapes
from serve_app.lost_ingress import LostIngress
from serve_app.memory import Memory
from serve_app.middleware import OneRequestId, TotalTimes

CALLBACK = "serve_app.proxy:layers"
STRIPPED = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})
BODIES_MB = "INPAINT_PROXY_BODIES_MB"
"""Environment variable: bodies and unread answers that a proxy holds at once, in MiB."""
BODIES_MB_DEFAULT = 1024


class StripServeHeaders:
    """Takes headers off that would let a client outlive the server's limits."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] in ("http", "websocket"):
            kept = [pair for pair in scope["headers"] if pair[0].lower() not in STRIPPED]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


def layers() -> list[Middleware]:
    """Called by Serve when a proxy starts."""
    limit = int(os.environ.get(BODIES_MB) or BODIES_MB_DEFAULT) * MiB
    memory = Memory(limit, "as many bodies and answers")
    shapes = error_shapes()

    def answer(request: Request, error: InpaintError) -> Response:
        request.scope.setdefault("state", {})["account"] = Account("")  # the proxy has none
        return shapes.answer(request, error)

    return [
        Middleware(StripServeHeaders),
        Middleware(OneRequestId),
        Middleware(BodyMemory, memory=memory, max_body_bytes=lambda: limit, answer=answer),
        Middleware(LostIngress, answer=answer),  # within: it sees what Serve itself says
        Middleware(TotalTimes),
    ]
