"""Starts `serve run` on a config and ends it cleanly."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from serve_app.proxy import CALLBACK


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


def run(document: Mapping[str, Any]) -> int:
    """Run `document` until it ends or this process is told to; the exit status of `serve run`.

    SIGINT and SIGTERM reach Serve as SIGTERM: a process started in the background ignores SIGINT.
    """
    env = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": CALLBACK, **os.environ}
    with tempfile.TemporaryDirectory(prefix="inpaint-serve-") as folder:
        path = Path(folder) / "serve_config.yaml"
        path.write_text(yaml.safe_dump(dict(document), sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "ray.serve.scripts", "run", str(path)]
        child = subprocess.Popen(command, env=env, start_new_session=True)  # noqa: S603  our own

        def end(signum: int, frame: FrameType | None) -> None:
            child.send_signal(signal.SIGTERM)

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, end)
        return child.wait()
