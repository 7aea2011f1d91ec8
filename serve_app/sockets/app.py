"""Builds the application under /socket.io: the `import_path` of its entry in a Serve config."""

from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment
from starlette.types import ASGIApp

from inpaint.settings import SocketArgs
from serve_app.serve_context import adopt
from serve_app.sockets.api import create_socket_api
from serve_app.sockets.names import DEPLOYMENT


@serve.ingress()
class Sockets:
    """Every socket of the service. One replica: what it knows cannot be divided."""

    def __init__(self, args: SocketArgs) -> None:
        self._api, self._server = create_socket_api(
            args, echo_request_id=False, adopt_request_id=adopt
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Called by Serve once the constructor has run."""
        return self._api

    async def tell(self, listener: str, event: str, data: dict[str, Any] | None) -> None:
        """Send an event to the sockets of one browser; called by ingress replicas."""
        await self._server.tell(listener, event, data)

    async def check_health(self) -> None:
        """Asked by Serve on the event loop that answers clients: once that is stuck, no more."""


# No `from __future__ import annotations` here: Serve finds SocketArgs by the annotation's class.
def build_sockets(args: SocketArgs) -> Application:
    """The one deployment of this application."""
    deployment = cast(Deployment, serve.deployment(Sockets, name=DEPLOYMENT))
    return deployment.bind(args)
