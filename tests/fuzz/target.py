"""The whole service without Ray in a process of its own, which gets raw requests through a pipe.

What hangs can be killed there, what crashes takes no test along, and the memory, threads and files
that are counted are the service's alone.
"""

import asyncio
import ctypes
import faulthandler
import gc
import logging
import multiprocessing
import os
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import psutil

STDERR = "stderr.txt"
"""In the folder: what the process has to say."""

MODELS = Path(__file__).parent / "models"

HANG_S = 30.0
"""A request without an answer after this long counts as hanging; its process is killed."""

MAX_BODY_MB, MAX_MEGAPIXELS = 4, 2
"""Far below the defaults, so that inputs reach the limits and stay small."""


class HangUp(StrEnum):
    """When the client goes away."""

    NEVER = "never"
    EARLY = "before the end of its body"
    LATE = "before the answer"


@dataclass(frozen=True)
class Sent:
    """One request, as a server that understands HTTP passes it on."""

    method: str
    target: str
    """Path and query as they stand in the request line."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    chunks: tuple[bytes, ...] = ()
    hang_up: HangUp = HangUp.NEVER


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    """0: nothing did."""
    headers: dict[str, str]
    body: bytes
    took_s: float
    cpu_s: float
    """Of all threads."""
    raised: str
    """The traceback of what left the application; empty as it should be."""


@dataclass(frozen=True)
class State:
    """What the service holds between two requests."""

    resident_bytes: int = field(compare=False)
    threads: int
    open_files: int
    tasks: int
    held_bytes: int
    """What the accounts of bodies and pictures say."""
    running: int
    """Requests that can still be cancelled."""
    half_written: int
    """Files of saved pictures that were begun and never finished."""


class HangsError(AssertionError):
    """No answer in time."""


class CrashedError(AssertionError):
    """The process has ended."""


class Target:
    """The service's process; a new one after it had to be killed.

    Args:
        folder: holds no weights; saved pictures go there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=run, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, sent: Sent):
        """The Answer to a request."""
        return self._exchange(sent)

    def state(self):
        """The State now that nothing runs."""
        return self._exchange(None)

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(10)
        self._process.kill()
        self._process.join()

    def _exchange(self, message):
        try:
            self._pipe.send(message)
            if self._pipe.poll(HANG_S):
                return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            said = (self._folder / STDERR).read_text(errors="replace")[-2_000:]
            problem = CrashedError(f"the process ended with {self._process.exitcode}: {said}")
        else:
            problem = HangsError(f"no answer within {HANG_S:.0f} s")
        self.stop()
        self._start()
        raise problem


def run(pipe, folder: Path) -> None:
    """The process: answers what comes through the pipe until it is closed."""
    logging.disable(logging.CRITICAL)
    with (folder / STDERR).open("wb") as file:
        os.dup2(file.fileno(), 2)  # image libraries write there what they think of each file
    faulthandler.enable(2)
    service, app = _service(folder)
    with asyncio.Runner() as runner:
        while True:
            try:
                message = pipe.recv()
            except EOFError:
                return
            if message is None:
                runner.run(_idle())
                pipe.send(_state(service, folder, len(asyncio.all_tasks(runner.get_loop()))))
            else:
                pipe.send(runner.run(_ask(app, message)))
                service.painters.seen.clear()
                service.reader.seen.clear()


def _service(folder: Path):
    from inpaint.catalog import Catalog
    from inpaint.resources import configs_dir
    from inpaint.settings import IngressConfig, IOPaintArgs
    from serve_app.api import create_api
    from tests.local_service import OWN_MODELS, LocalService

    output = folder / "output"
    output.mkdir(exist_ok=True)
    service = LocalService(
        folder,
        has_ocr=True,
        has_diffusion=True,
        iopaint=IOPaintArgs(output_dir=output),
        catalog=Catalog.read(configs_dir(), [OWN_MODELS, MODELS]),
    )
    service.reader.answers = _SameLine(service.reader.seen)
    config = IngressConfig(
        max_body_mb=MAX_BODY_MB,
        max_megapixels=MAX_MEGAPIXELS,
        max_bodies_mb=4 * MAX_BODY_MB,
        pixel_threads=2,
    )
    service.gateway.configure(config)
    return service, create_api(service.gateway, service.iopaint, service.access)


class _SameLine(list[Any]):
    """Answers of a reader that finds one line of text across every picture, without an end."""

    def __init__(self, shapes):
        super().__init__()
        self._shapes = shapes

    def __bool__(self):
        return True

    def pop(self, index=-1):
        from inpaint.texts import TextRegion

        height, width = self._shapes[-1][:2]
        across, down = np.array([0.1, 0.9]) * width, np.array([0.3, 0.7]) * height
        corners = [(across[0], down[0]), (across[1], down[0])]
        corners += [(across[1], down[1]), (across[0], down[1])]
        return [TextRegion(np.array(corners, np.float32), "a line", 0.9, 0.8)]


async def _ask(app, sent: Sent) -> Answer:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in sent.chunks]
    if sent.hang_up is not HangUp.EARLY:
        messages.append({"type": "http.request", "body": b"", "more_body": False})
    status, headers, parts, raised = 0, {}, [], ""

    async def receive():
        if messages:
            return messages.pop(0)
        if sent.hang_up is HangUp.NEVER:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message):
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            pairs = message.get("headers", ())
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in pairs}
        else:
            parts.append(bytes(message.get("body", b"")))

    began, spent = time.perf_counter(), time.process_time()
    try:
        await app(_scope(sent), receive, send)
    except Exception:  # noqa: BLE001  reported, and the test fails of it
        raised = traceback.format_exc()
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - spent
    return Answer(status, headers, b"".join(parts), took_s, cpu_s, raised)


def _scope(sent: Sent):
    raw_path, _, query = sent.target.encode("ascii").partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": unquote(raw_path.decode()),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in sent.headers],
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 80),
    }


async def _idle() -> None:
    for _ in range(50):  # what ended with its request may take a few turns of the loop
        await asyncio.sleep(0.01)
        if len(asyncio.all_tasks()) == 1:
            break


def _give_back_free_memory() -> None:
    """Else the C library keeps some of what is free, now more and now less."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _state(service, folder: Path, tasks: int) -> State:
    gc.collect()
    _give_back_free_memory()
    process = psutil.Process()
    gateway = service.gateway
    return State(
        resident_bytes=process.memory_info().rss,
        threads=process.num_threads(),
        open_files=process.num_fds(),
        tasks=tasks,
        held_bytes=gateway.bodies.held + gateway._pictures.held,
        running=len(gateway._running._tasks),
        half_written=len(list(folder.rglob("*.part"))),
    )
