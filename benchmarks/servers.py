"""Starting and ending servers as processes of their own, and what they weigh."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

ROOT = Path(__file__).parents[1]
START_LIMIT_S = 180.0


def free_port() -> int:
    """Serve shares ports in silence, so the default one may belong to somebody else."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    start_s: float
    """From the command to the first good answer."""

    def memory_mib(self) -> float:
        """Proportional set size of all its processes, in MiB: shared pages count once."""
        total = 0
        for process in [psutil.Process(self.process.pid), *_descendants(self.process.pid)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        return total / 2**20


def _descendants(pid: int) -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    return children


@contextmanager
def serve_run(
    document: Mapping[str, Any], ready_path: str, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """`serve run` on a config, in a Ray instance of its own, until the block ends.

    Args:
        document: a Serve config; its port is replaced by a free one.
        ready_path: answers 200 when the server can work.
        env: more environment variables.
    """
    port = free_port()
    document = {**document, "http_options": {**document.get("http_options", {}), "port": port}}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(document, sort_keys=False))
        command = [sys.executable, "-m", "ray.serve.scripts", "run", str(config)]
        own = {
            "RAY_ADDRESS": "local",
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(ROOT),
            "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.proxy:layers",
        }
        with (Path(folder) / "log").open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                command,
                env={**os.environ, **own, **(env or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
            url = f"http://127.0.0.1:{port}"
            try:
                _wait_until_ready(process, url + ready_path, Path(folder) / "log")
                yield Server(url, process, time.perf_counter() - began)
            finally:
                end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text()[-3000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for whatever is left of its own processes after half a minute."""
    started = _descendants(process.pid) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(started, timeout=10)[1]:
        child.kill()
