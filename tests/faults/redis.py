"""A real Redis for Ray's GCS, on loopback, kept in memory."""

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

from tests.serve.conftest import free_port

SERVER = shutil.which("redis-server")
LIMIT_S = 10


@contextmanager
def redis(folder):
    """The port of a running server."""
    port = free_port()
    command = [SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    with (folder / "redis.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + LIMIT_S
        while not _listens(port):
            assert process.poll() is None, (folder / "redis.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
