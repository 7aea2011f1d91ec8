"""The application around the sockets: keys and request ids, as around every other route."""

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from inpaint.settings import SocketArgs
from serve_app.access.guard import Guard
from serve_app.access.keys import Keyring
from serve_app.every_error import error_shapes
from serve_app.middleware import RequestIds
from serve_app.sockets.server import SocketServer


def create_socket_api(
    args: SocketArgs,
    *,
    echo_request_id: bool = True,
    adopt_request_id: Callable[[str], None] = lambda _: None,
) -> tuple[Starlette, SocketServer]:
    """The application, and what tells its clients.

    What a client sends here is no work, so no limit of its key counts it.

    Args:
        args: who may connect, and how many.
        echo_request_id: see create_api.
        adopt_request_id: see create_api.

    Raises:
        KeysError: API keys are required, and their file is missing or broken.
    """
    access, answer = args.access, error_shapes().answer
    server = SocketServer(access.cors_origins, args.max_connections, answer)
    layers = [Middleware(RequestIds, echo=echo_request_id, adopt=adopt_request_id)]
    if access.auth == "required":
        keyring = Keyring(access.api_keys or Path())
        layers.append(Middleware(Guard, keyring=keyring, limits=None, answer=answer))
    return Starlette(routes=[Mount("/", app=server)], middleware=layers), server
