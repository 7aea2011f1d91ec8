"""`python main.py ...` as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from benchmarks.servers import free_port
from inpaint.resources import default_serve_config
from serve_app import session
from serve_app.cli.accelerators import probe
from tests.conftest import png
from tests.weights_server import Fault, weights_server

ROOT = Path(__file__).parents[2]
READY_LIMIT_S = 180


def run(*arguments, **env):
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def started(*arguments, **env):
    """A command that runs, with a handler for SIGINT even where this process ignores it."""
    process = subprocess.Popen(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        yield process
    finally:
        sessions = {os.getsid(child.pid) for child in children_of(process)}
        process.kill()
        process.wait()
        for leader in sessions - {os.getsid(0)}:
            session.end(leader, 5)


def children_of(process):
    if process.poll() is not None:
        return []
    return psutil.Process(process.pid).children(recursive=True)


def wait_for(condition, limit_s, every_s=0.2):
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up:
        if found := condition():
            return found
        time.sleep(every_s)
    raise TimeoutError


def is_ready(url):
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def assert_gone(processes, within_s=20):
    assert processes
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    left = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not left


# Commands that start no server


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


def test_list_names_every_model(tmp_path):
    done = run("list", "--json", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    states = {model["name"]: model["state"] for model in json.loads(done.stdout)}
    assert states["lama"] == "missing"
    assert states["cv2"] == "downloaded"


def test_help_and_list_import_neither_ray_nor_a_model_library():
    code = (
        "import sys; from typer.testing import CliRunner; from serve_app.cli import app\n"
        "for words in (['--help'], ['start', '--help'], ['list']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"ray", "torch", "diffusers", "paddleocr", "onnxruntime", "fastapi"})
    assert "typer" in loaded


def test_cuda_is_refused_where_there_is_none():
    if probe(["torch"]).gpus:
        pytest.skip("this machine has a GPU")
    done = run("start", "--model=lama", "--device=cuda", "--port=8080")
    assert done.returncode == 1
    assert "--device=cuda: " in done.stderr
    assert "CUDA" in done.stderr


def test_start_on_a_taken_port_says_so_and_exits_1():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("start", f"--port={port}", "--model=cv2")
    assert done.returncode == 1
    assert f"Port {port}" in done.stderr
    assert f"ss -ltnp 'sport = :{port}'" in done.stderr


def test_a_download_that_is_interrupted_is_gone_on_with(tmp_path):
    content, path = os.urandom(3_000_000), "/big-lama.pt"
    checkpoints = tmp_path / "torch/hub/checkpoints"
    arguments = ("download", "--model=lama", f"--model-dir={tmp_path}")
    with weights_server() as server:
        env = {"LAMA_MODEL_URL": server.put(path, content), "LAMA_MODEL_MD5": ""}
        server.fail(path, Fault(stall_after=2_000_000))
        with started(*arguments, **env) as process:
            wait_for(
                lambda: sum(f.stat().st_size for f in checkpoints.glob("*") if f.is_file()) > 1e6,
                limit_s=60,
            )
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        assert not (checkpoints / "big-lama.pt").exists()
        done = run(*arguments, **env)
        assert done.returncode == 0, done.stderr
        ranges = [asked.headers.get("Range") for asked in server.requests_of(path)]
    assert (checkpoints / "big-lama.pt").read_bytes() == content
    assert ranges[0] is None
    assert int(ranges[-1].removeprefix("bytes=").rstrip("-")) > 1e6


# Servers


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_start_serves_and_a_signal_ends_everything_it_started(signum, tmp_path, photo):
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = ("start", f"--port={port}", "--model=cv2", "--device=cpu", "--inbrowser")
    with started(*words, BROWSER=str(browser), XDG_CACHE_HOME=str(tmp_path)) as process:
        wait_for(lambda: is_ready(url), READY_LIMIT_S)
        answer = httpx.post(f"{url}/remove-text", files={"image": png(photo)}, timeout=60)
        assert answer.status_code == 503
        assert "--enable-ocr" in answer.json()["detail"]
        assert wait_for(lambda: opened.exists() and opened.read_text(), 10) == f"{url}\n"
        everything = children_of(process)
        assert len(everything) > 5
        process.send_signal(signum)
        assert process.wait(60) == 0
        assert_gone(everything)


@pytest.mark.parametrize("after", ["gcs_server", "raylet"])
def test_sigterm_while_it_starts_ends_everything_it_started(after):
    words = ("start", f"--port={free_port()}", "--model=cv2")
    with started(*words) as process:
        wait_for(lambda: after in names_below(process), 60, every_s=0.05)
        time.sleep(0.5)
        everything = children_of(process)
        leader = os.getsid(everything[0].pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert_gone(everything)
        assert session.members(leader) == []


def test_a_second_ctrl_c_kills_at_once():
    words = ("start", f"--port={free_port()}", "--model=cv2")
    with started(*words) as process:
        wait_for(lambda: "raylet" in names_below(process), 60)
        everything = children_of(process)
        leader = os.getsid(everything[0].pid)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 5
        assert_gone(everything)
        assert session.members(leader) == []


def names_below(process):
    names = set()
    for child in children_of(process):
        try:
            names.add(child.name())
        except psutil.Error:
            continue
    return names
