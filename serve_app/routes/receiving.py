"""How a route of another API takes its body in."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from serve_app import bodies
from serve_app.accounts import account_of
from serve_app.gateway import Gateway

T = TypeVar("T")


async def receive(request: Request, gateway: Gateway, read: Callable[[str, bytes], T]) -> T:
    """What `read` makes of the content type and the body, off the event loop."""
    with account_of(request.scope).timings.stage("receive"):
        content = await bodies.read(request, gateway.max_body_bytes)
        return await gateway.off_loop(read, request.headers.get("content-type", ""), content)
