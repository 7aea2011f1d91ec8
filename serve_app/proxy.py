"""A layer for Serve's own HTTP proxy, where no load balancer stands before it.

Serve lets a client switch its timeout and its cancellation off by a header. Both are stripped
here. Switched on by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve_app.proxy:layers in the
environment of the cluster; `make run` and `start` set it. Behind HAProxy or an ingress
controller, strip them there: this layer is Serve's Python proxy's only.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

CALLBACK = "serve_app.proxy:layers"
STRIPPED = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})


class StripServeHeaders:
    """Takes headers off that would let a client outlive the server's limits."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] == "http":
            kept = [pair for pair in scope["headers"] if pair[0].lower() not in STRIPPED]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


def layers() -> list[Middleware]:
    """Called by Serve when a proxy starts."""
    return [Middleware(StripServeHeaders)]
