"""`python main.py run` with a server that it starts itself."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from serve_app import session
from tests.conftest import pixels, png
from tests.e2e.test_command_line import children_of, wait_for

ROOT = Path(__file__).parents[2]


def test_run_starts_a_server_repaints_everything_and_ends_it(tmp_path, photo, hole):
    (tmp_path / "in").mkdir()
    for shift, name in enumerate("abc"):
        (tmp_path / "in" / f"{name}.png").write_bytes(png(np.roll(photo, shift, axis=0)))
    (tmp_path / "mask.png").write_bytes(png(hole))
    command = [sys.executable, "main.py", "run", "--model=cv2", f"--image={tmp_path / 'in'}",
               f"--mask={tmp_path / 'mask.png'}", f"--output={tmp_path / 'out'}"]  # fmt: skip
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    started = wait_for(lambda: children_of(process), 60)
    leader = os.getsid(started[0].pid)
    said, told = process.communicate(timeout=180)
    assert (process.returncode, said) == (0, "3 done, 0 skipped, 0 failed\n"), told
    assert session.members(leader) == []
    for shift, name in enumerate("abc"):
        before = np.roll(photo, shift, axis=0)
        wanted = cv2.inpaint(before[..., ::-1].copy(), hole, 4, cv2.INPAINT_NS)[..., ::-1]
        result = pixels((tmp_path / "out" / f"{name}.png").read_bytes())
        np.testing.assert_array_equal(result[hole == 0], before[hole == 0])
        np.testing.assert_array_equal(result[hole > 0], wanted[hole > 0])
