"""The README's commands, run as they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from skimage import data

from tests.conftest import pixels, png
from tests.e2e.test_default_config import middle_hole

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
DEFAULT_URL = "http://127.0.0.1:8000"


def blocks(language, containing):
    return [text for kind, text in BLOCKS if kind == language and containing in text]


def write_inputs(folder):
    image = data.coffee()
    mask = middle_hole(image)
    import simplejpeg

    (folder / "photo.jpg").write_bytes(simplejpeg.encode_jpeg(image, quality=95))
    (folder / "mask.png").write_bytes(png(mask))


def test_curl_commands_answer_pictures(server, tmp_path):
    write_inputs(tmp_path)
    commands = [
        line for block in blocks("sh", "curl") for line in block.splitlines() if "curl" in line
    ]
    assert commands
    for command in commands:
        words = shlex.split(command.replace(DEFAULT_URL, server.url))
        done = subprocess.run(
            [*words, "--fail", "-sS"], cwd=tmp_path, capture_output=True, timeout=60
        )
        assert done.returncode == 0, (command, done.stderr)
    assert pixels((tmp_path / "out.jpg").read_bytes()).shape == (400, 600, 3)


def test_python_example_runs(server, tmp_path):
    write_inputs(tmp_path)
    examples = blocks("python", "Client")
    assert examples
    for example in examples:
        code = example.replace(DEFAULT_URL, server.url)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    named = {
        word for block in blocks("sh", "make") for word in re.findall(r"^make (\w+)", block, re.M)
    }
    assert {"run", "test"} <= named
    assert all(re.search(rf"^{name}:", makefile, re.M) for name in named)


def test_files_that_the_readme_names_exist():
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`((?:docs|configs|benchmarks|tests)/[\w./-]*)`", text))
    assert named
    assert not {name for name in named if not (ROOT / name).exists()}
