"""`python main.py ...` as a process."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from benchmarks.servers import free_port
from inpaint.resources import default_serve_config

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0"}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_check_accepts_the_shipped_config():
    done = run("check", str(default_serve_config()))
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_what_is_wrong(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(default_serve_config().read_text().replace("max_loaded_mb", "max_loaded"))
    done = run("check", str(path))
    assert done.returncode == 1
    assert "max_loaded" in done.stderr
    assert run("check", str(tmp_path / "nothing.yaml")).returncode == 1


def test_start_dumps_a_config_that_passes_the_check(tmp_path):
    done = run("start", "--port=8123", "--model=cv2", "--device=cpu", "--dump-config")
    assert done.returncode == 0, done.stderr
    document = yaml.safe_load(done.stdout)
    assert document["http_options"]["port"] == 8123
    assert document["applications"][0]["args"]["default_models"] == ["cv2"]
    path = tmp_path / "dumped.yaml"
    path.write_text(done.stdout)
    assert run("check", str(path)).returncode == 0


def test_start_on_a_taken_port_says_so_and_exits_1():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("start", f"--port={port}")
    assert done.returncode == 1
    assert f"Port {port}" in done.stderr


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_start_serves_and_a_signal_ends_everything_it_started(signum):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "main.py", "start", f"--port={port}", "--model=cv2"],
        cwd=ROOT, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.3)
        else:
            raise TimeoutError
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) > 5
        process.send_signal(signum)
        process.wait(60)
        gone, alive = psutil.wait_procs(started, timeout=20)
        assert not alive
        assert len(gone) == len(started)
    finally:
        process.kill()
