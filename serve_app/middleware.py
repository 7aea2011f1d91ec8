"""ASGI layers around every route."""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Sequence

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.accounts import METHODS, OTHER, Account, Settled
from serve_app.tracing import request_span

REQUEST_ID, SERVER_TIMING = "x-request-id", "server-timing"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,100}")

GONE, GONE_STATUS = "disconnected", 499
"""Noted where the client left, or Serve's own timeout ended the request; nobody sees them."""


class RequestIds:
    """Gives each request an id: the client's where it is well formed, else a new one.

    Serve's proxy makes one where the client sent none and passes it on, so that its log, ours and
    the answer agree.

    Args:
        app: the application inside.
        echo: whether to put the id into the answer. Serve's proxy does so itself.
        adopt: called with each id, on the task that serves the request.
    """

    def __init__(self, app: ASGIApp, *, echo: bool, adopt: Callable[[str], None]) -> None:
        self._app = app
        self._echo = echo
        self._adopt = adopt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = sent if _WELL_FORMED.fullmatch(sent) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        self._adopt(request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id if self._echo else send)


class OneRequestId:
    """For Serve's proxy, which logs and echoes a client's id as it came: leaves only good ones."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        ids = Headers(scope=scope).getlist(REQUEST_ID) if scope["type"] == "http" else []
        if ids and (len(ids) > 1 or not _WELL_FORMED.fullmatch(ids[0])):
            name = REQUEST_ID.encode()
            kept = [pair for pair in scope["headers"] if pair[0].lower() != name]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


class TotalTimes:
    """For Serve's proxy: a `Server-Timing` on what no ingress replica has answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        began = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                total = f"total;dur={1e3 * (time.perf_counter() - began):.1f}"
                MutableHeaders(scope=message).setdefault(SERVER_TIMING, total)
            await send(message)

        await self._app(scope, receive, timed)


class Accounts:
    """Keeps an account of each request, puts its `Server-Timing` on the answer, and passes it on.

    Lies inside RequestIds and outside everything that may answer, refusals and defects included.

    Args:
        app: the application inside.
        defect: the answer to an error that is none of ours. The error itself goes on to Serve,
            which logs its traceback.
        settled: each is told of each account at its end.
    """

    def __init__(
        self, app: ASGIApp, *, defect: Callable[[Request], Response], settled: Sequence[Settled]
    ) -> None:
        self._app = app
        self._defect = defect
        self._settled = settled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope["state"]
        account = Account(state["request_id"], _known(scope["method"]))
        state["account"] = account

        async def counted() -> Message:
            message = await receive()
            account.received += len(message.get("body", b""))
            return message

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                account.status = message["status"]
                MutableHeaders(scope=message)[SERVER_TIMING] = _server_timing(account)
            account.sent += len(message.get("body", b""))
            await send(message)

        with request_span(account, scope):
            try:
                await self._app(scope, counted, told)
            except asyncio.CancelledError:
                account.error = account.error or GONE
                raise
            except ClientDisconnect:  # in the middle of its body: nobody is left to answer
                account.error = account.error or GONE
            except Exception:
                answer = self._defect(Request(scope))
                if not account.status:
                    await answer(scope, counted, told)
                raise
            finally:
                _settle(account, scope)
                for tell in self._settled:
                    tell(account)


def _known(method: str) -> str:
    return method if method in METHODS else OTHER


def _server_timing(account: Account) -> str:
    """Milliseconds of each stage so far, and of all; see the W3C's Server Timing."""
    stages = account.timings.header()
    return f"{stages}{', ' if stages else ''}total;dur={account.age_ms:.1f}"


def _settle(account: Account, scope: Scope) -> None:
    account.duration_ms = account.age_ms
    account.route = getattr(scope.get("route"), "path", OTHER)
    account.status = account.status or GONE_STATUS
    if account.status >= 400:
        account.error = account.error or "http"
