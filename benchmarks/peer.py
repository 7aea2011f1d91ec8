"""A real IOPaint 1.6, started from an environment of its own.

It pins an old Pillow, numpy and diffusers, so it cannot live in this project's environment.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.servers import end, free_port

START_LIMIT_S = 180


@contextmanager
def peer(
    python: Path,
    model: str,
    cache: Path,
    env: Mapping[str, str],
    *options: str,
    program: Path | None = None,
) -> Iterator[str]:
    """A real `iopaint start` on the CPU, until the block ends; gives its address.

    Args:
        python: the interpreter of the environment that has IOPaint.
        model: what it starts with.
        cache: its XDG_CACHE_HOME; weights lie in torch/hub/checkpoints below.
        env: more environment variables.
        options: more options of `iopaint start`.
        program: a script that stands for the `iopaint` command.
    """
    port = free_port()
    program = program or python.with_name("iopaint")
    command = [str(program), "start", f"--model={model}", "--device=cpu"]
    own = {"XDG_CACHE_HOME": str(cache), "MPLCONFIGDIR": str(cache), "HF_HUB_OFFLINE": "1"}
    with (cache / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            [str(python), *command, f"--port={port}", *options],
            env={**os.environ, **own, **env},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(process, f"{url}/api/v1/model", cache / "peer.log")
            yield url
        finally:
            end(process)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            httpx.get(url, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"IOPaint did not start:\n{log.read_text()[-3000:]}")
