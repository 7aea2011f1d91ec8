"""The service of tests/local_service.py behind a port of its own: real HTTP, without Ray."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from inpaint.settings import AccessArgs
from serve_app.api import create_api
from tests.local_service import LocalService


@dataclass
class Live:
    """A service that listens."""

    url: str
    service: LocalService


class Gate:
    """What FakePainters can be made to wait for; opened from another thread."""

    def __init__(self) -> None:
        self._is_open = threading.Event()

    async def wait(self) -> None:
        while not self._is_open.is_set():  # noqa: ASYNC110  set by another thread
            await asyncio.sleep(0.01)

    def open(self) -> None:
        self._is_open.set()


@contextmanager
def over_http(app, port=0) -> Iterator[str]:
    """An ASGI application on a port of this machine, on a thread; its URL."""
    config = uvicorn.Config(
        app,
        port=port,
        log_level="critical",
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,  # for runs that a test left waiting
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.005)
        assert thread.is_alive(), "the server did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def live_service(model_dir: Path, access: AccessArgs | None = None) -> Iterator[Live]:
    """A LocalService with all kinds of families."""
    service = LocalService(model_dir, has_ocr=True, has_diffusion=True)
    service.access = access or service.access
    with over_http(create_api(service.gateway, service.iopaint, service.access)) as url:
        yield Live(url, service)
