"""A real nginx with the edge's configuration, and workers of our own behind it, on loopback."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from k8s.generate import K8S

EDGE = K8S / "base" / "edge"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@dataclass
class Worker:
    """A server that notes what it was asked and answers as `behave(handler)` says."""

    behave: Callable[[BaseHTTPRequestHandler], None]
    seen: list[Any] = field(default_factory=list)  # (method, path, headers, body)

    def __enter__(self):
        worker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                worker.seen.append((self.command, self.path, dict(self.headers), body))
                worker.behave(self)

            do_GET = do_POST = handle_any  # noqa: N815  names of http.server

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.port = self.server.server_address[1]
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def answer(status, body=b"ok", **headers):
    """A behaviour: this answer."""

    def behave(handler):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def die(handler):
    """A behaviour: the connection breaks without an answer, as when the process is killed."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def edge(folder, *ports):
    """The address of an nginx before workers at these ports."""
    port = free_port()
    text = (EDGE / "nginx.conf").read_text()
    assert text.count("/tmp/") == 6  # noqa: S108  the pid and five folders
    text = text.replace("/tmp/", f"{folder}/")  # noqa: S108
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    text = text.replace("/dev/stdout", f"{folder}/access.log")
    text = text.replace("/dev/stderr", f"{folder}/error.log")
    (folder / "nginx.conf").write_text(text)
    servers = "".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
    (folder / "upstream.conf").write_text(f"upstream workers {{ {servers} keepalive 4; }}")
    user = "" if os.geteuid() else " user root;"  # else its workers may not enter the folder
    command = [NGINX, "-c", folder / "nginx.conf", "-p", folder, "-g", f"daemon off;{user}"]
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, folder / "stderr")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_for(url, process, stderr):
    for _ in range(200):
        assert process.poll() is None, stderr.read_text()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/edge/healthz").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("nginx does not answer")
