"""Starts `serve run` on a config and ends it cleanly."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from serve_app import session
from serve_app.proxy import CALLBACK

ENV = {
    "RAY_ADDRESS": "local",  # a Ray of its own: whatever `start` starts, it ends
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": CALLBACK,
}
"""What `serve run` gets where the user's environment says nothing else."""

GRACE_S = 5.0
"""What Ray's processes have to end when `serve run` has ended."""
LOOK_EVERY_S = 0.5
LOOK_LIMIT_S = 10.0


def is_port_free(host: str, port: int) -> bool:
    """Whether a server can listen there. Serve itself would share a taken port in silence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str) -> int:
    """A port of `host` that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def url_of(host: str, port: int) -> str:
    """Where a browser on this machine finds a server that listens on `host`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  not bound here
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class _Server:
    """`serve run` in a session of its own, so that a terminal's Ctrl-C reaches this process only.

    The first SIGINT or SIGTERM ends it, the second kills it. It gets SIGTERM either way: a process
    started in the background ignores SIGINT.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._signals = 0
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._on_signal)

    def run(self, command: Sequence[str], env: Mapping[str, str]) -> int:
        """Start it and wait until it and all that it started has ended; its exit status."""
        child = subprocess.Popen(command, env=env, start_new_session=True)  # noqa: S603  our own
        self._child = child
        if self._signals:
            child.terminate()
        status = child.wait()
        # One that is told to end while it starts leaves some of Ray's processes behind.
        session.end(child.pid, 0 if self._signals > 1 else GRACE_S)
        if self._signals:
            return 0
        return status if status >= 0 else 128 - status

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._child is not None and self._signals == 1:
            self._child.terminate()
        elif self._child is not None:
            self._child.kill()


def run(document: Mapping[str, Any], on_ready: Callable[[str], None]) -> int:
    """Run a Serve config until it ends or this process is told to by SIGINT or SIGTERM.

    Args:
        document: the Serve config.
        on_ready: called once with the server's URL, on a thread of its own, when every family can
            take a request.

    Returns:
        The exit status: 0 if this process was told to end.
    """
    server = _Server()
    options = document.get("http_options", {})
    url = url_of(options.get("host", "127.0.0.1"), options.get("port", 8000))
    with tempfile.TemporaryDirectory(prefix="inpaint-serve-") as folder:
        command = written_command(document, Path(folder))
        threading.Thread(target=_watch, args=(url, on_ready), daemon=True).start()
        return server.run(command, {**ENV, **os.environ})


def written_command(document: Mapping[str, Any], folder: Path) -> list[str]:
    """The command that runs a Serve config, which is written into `folder`."""
    path = folder / "serve_config.yaml"
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False), encoding="utf-8")
    return [sys.executable, "-m", "ray.serve.scripts", "run", str(path)]


def is_ready(url: str) -> bool:
    """Whether every family of the server there can take a request. No proxy is asked."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/readyz", timeout=LOOK_LIMIT_S):
            return True
    except (OSError, http.client.HTTPException):
        return False


def _watch(url: str, on_ready: Callable[[str], None]) -> None:
    """Call `on_ready` when the server is ready. The thread ends with the process at the latest."""
    while not is_ready(url):
        time.sleep(LOOK_EVERY_S)
    on_ready(url)
