"""examples/ run as they stand."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import pixels, png
from tests.unit.test_text_rules import line

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(live, monkeypatch, capsys):
    """Runs an example in this process; what it prints."""

    def run(name, *words):
        arguments = [name, *map(str, words), f"--url={live.url}"]
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def folder(tmp_path, files):
    for name, data in zip(("photo.png", "mask.png"), files, strict=True):
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_erase(run, folder, photo, hole):
    names = [folder / name for name in ("photo.png", "mask.png", "clean.png")]
    assert "cv2" in run("erase.py", *names, "--model=cv2")
    clean = pixels(names[-1].read_bytes())
    np.testing.assert_array_equal(clean[hole == 0], photo[hole == 0])
    assert (clean[hole > 0] != photo[hole > 0]).any()


def test_erase_names_the_models_where_there_is_none_of_that_name(run, folder):
    names = [folder / name for name in ("photo.png", "mask.png", "clean.png")]
    with pytest.raises(SystemExit, match="cv2"):
        run("erase.py", *names, "--model=nope")


def test_remove_text(run, folder, service):
    service.reader.answers = [[line()]]
    said = run("remove_text.py", folder / "photo.png", folder / "clean.png",
               "--keep=^Total", "--model=cv2")  # fmt: skip
    assert "kept: pattern: 'Total: 12'" in said
    assert "0 of 1 lines" in said
    assert (folder / "clean.png").exists()


def test_progress(run, folder):
    words = (folder / "photo.png", folder / "mask.png", folder / "out.png")
    said = run("progress.py", *words, "--model=painter", "--steps=3", "--prompt=a cat")
    assert "step 3 of 3" in said
    assert pixels((folder / "out.png").read_bytes()).shape == (120, 160, 3)
    assert (folder / "out.preview.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_many_pictures_as_a_process(live, folder, photo, hole):
    pictures = [folder / f"{number}.png" for number in range(5)]
    for shift, path in enumerate(pictures):
        path.write_bytes(png(np.roll(photo, shift, axis=0)))
    broken = folder / "broken.png"
    broken.write_bytes(b"no picture")
    command = [sys.executable, EXAMPLES / "many_pictures.py", folder / "mask.png", *pictures,
               broken, f"--output={folder / 'clean'}", f"--url={live.url}"]  # fmt: skip
    done = subprocess.run(
        command, cwd=EXAMPLES.parent, env={"PYTHONPATH": "."}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "5 of 6 done" in done.stdout
    assert "image-decode" in done.stdout
    for shift, path in enumerate(pictures):
        clean = pixels((folder / "clean" / path.name).read_bytes())
        np.testing.assert_array_equal(clean[hole == 0], np.roll(photo, shift, axis=0)[hole == 0])


def test_every_example_says_how_it_is_run_and_is_run_here():
    here = Path(__file__).read_text()
    names = [path.name for path in EXAMPLES.glob("*.py")]
    assert len(names) > 3
    for name in names:
        assert f"python examples/{name}" in ast.get_docstring(
            ast.parse((EXAMPLES / name).read_text())
        )
        assert f'"{name}"' in here
