"""`run` against a real service over HTTP."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from inpaint.errors import OverloadedError
from serve_app.cli import app
from tests.conftest import pixels, png
from tests.live_service import Gate
from tests.unit.test_text_rules import line

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, photo, hole):
    """Three photos and a mask for each."""
    for name, shift in (("a", 0), ("b", 10), ("c", 20)):
        for kind, array in (("in", photo), ("masks", hole)):
            path = tmp_path / kind / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(png(np.roll(array, shift, axis=1)))
    return tmp_path


def words(live, folder, *more, mask="masks"):
    usual = ["run", "--model=cv2", f"--server={live.url}", f"--image={folder / 'in'}",
             f"--output={folder / 'out'}"]  # fmt: skip
    return [*usual, *([f"--mask={folder / mask}"] if mask else []), *map(str, more)]


def invoke(*given, **options):
    return CliRunner().invoke(app, words(*given, **options))


def api_answer(live, folder, name, **fields):
    files = {
        kind: (folder / at / name).read_bytes() for kind, at in (("image", "in"), ("mask", "masks"))
    }
    answer = httpx.post(f"{live.url}/inpaint", files=files, data={"model": "cv2", **fields})
    return pixels(answer.content)


def test_every_picture_is_repainted_as_the_api_does(live, folder):
    done = invoke(live, folder)
    assert (done.exit_code, done.stdout) == (0, "3 done, 0 skipped, 0 failed\n"), done.output
    for name in ("a.png", "b.png", "c.png"):
        result = pixels((folder / "out" / name).read_bytes())
        np.testing.assert_array_equal(result, api_answer(live, folder, name))
    assert len(list((folder / "out").iterdir())) == 3


def test_the_json_file_says_what_is_asked(live, folder):
    config = folder / "config.json"
    config.write_text(json.dumps({"cv2_radius": 9, "cv2_flag": "INPAINT_TELEA", "sd_steps": 20}))
    assert invoke(live, folder, f"--config={config}").exit_code == 0
    result = pixels((folder / "out/a.png").read_bytes())
    wanted = api_answer(live, folder, "a.png", cv2_radius=9, cv2_flag="INPAINT_TELEA")
    np.testing.assert_array_equal(result, wanted)
    assert (result != api_answer(live, folder, "a.png")).any()


def test_a_mask_of_another_size_is_resized_as_iopaint_does(live, folder, photo, hole):
    small = np.zeros((60, 80), np.uint8)
    small[20:30, 30:40] = 200
    (folder / "mask.png").write_bytes(png(small))
    assert invoke(live, folder, mask="mask.png").exit_code == 0
    grown = cv2.resize(small, (160, 120), interpolation=cv2.INTER_NEAREST)
    for name in ("a.png", "b.png"):
        result = pixels((folder / "out" / name).read_bytes())
        before = pixels((folder / "in" / name).read_bytes())
        np.testing.assert_array_equal(result[grown == 0], before[grown == 0])
        assert (result[grown > 0] != before[grown > 0]).any()


def test_concat_shows_picture_mask_and_result(live, folder, photo, hole):
    assert invoke(live, folder, "--concat").exit_code == 0
    row = pixels((folder / "out/a.png").read_bytes())
    assert row.shape == (120, 480, 3)
    np.testing.assert_array_equal(row[:, :160], photo)
    np.testing.assert_array_equal(row[:, 160:320], np.repeat(hole[..., None], 3, axis=2))
    np.testing.assert_array_equal(row[:, 320:], api_answer(live, folder, "a.png"))


def test_results_may_have_another_format(live, folder):
    assert invoke(live, folder, "--format=jpg").exit_code == 0
    assert (folder / "out/a.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_what_is_there_is_skipped_and_what_breaks_off_is_made_anew(live, folder):
    assert invoke(live, folder).exit_code == 0
    whole = (folder / "out/a.png").read_bytes()
    (folder / "out/a.png").write_bytes(whole[: len(whole) // 2])
    (folder / "out/c.png").unlink()
    b_before = (folder / "out/b.png").stat().st_mtime_ns
    done = invoke(live, folder)
    assert done.stdout == "2 done, 1 skipped, 0 failed\n"
    assert (folder / "out/a.png").read_bytes() == whole
    assert (folder / "out/b.png").stat().st_mtime_ns == b_before
    assert invoke(live, folder, "--overwrite").stdout == "3 done, 0 skipped, 0 failed\n"
    assert (folder / "out/b.png").stat().st_mtime_ns > b_before


def test_failures_are_told_and_the_others_go_on(live, folder):
    (folder / "in/broken.jpg").write_bytes(b"no picture")
    (folder / "masks/broken.png").write_bytes(png(np.zeros((9, 9), np.uint8)))
    (folder / "in/lonely.png").write_bytes((folder / "in/a.png").read_bytes())
    done = invoke(live, folder, f"--report={folder / 'report.jsonl'}")
    assert done.exit_code == 1
    assert done.stdout.startswith("3 done, 0 skipped, 2 failed (")
    assert "broken.jpg" in done.stderr
    lines = [json.loads(text) for text in (folder / "report.jsonl").read_text().splitlines()]
    by_name = {Path(entry["image"]).name: entry for entry in lines}
    assert by_name["broken.jpg"]["code"] == "image-decode"
    assert by_name["lonely.png"]["code"] == "mask-missing"
    assert {entry["status"] for entry in lines} == {"done", "failed"}
    assert by_name["a.png"]["output"] == str(folder / "out/a.png")
    assert by_name["a.png"]["request_id"]


def test_a_busy_server_is_waited_for(live, folder):
    live.service.families["Erase"].fail_with = [OverloadedError("full", {"retry_after_s": 0.2})] * 2
    assert invoke(live, folder).stdout == "3 done, 0 skipped, 0 failed\n"


def test_what_every_picture_would_meet_ends_the_work(live, folder):
    done = invoke(live, folder, "--model=lama", "--concurrency=1")
    assert done.exit_code == 1
    assert done.stdout == "0 done, 0 skipped, 1 failed (1 weights-missing), 2 not tried\n"
    assert "download" in done.stderr


def test_text_is_removed_without_masks(live, folder, rng):
    page = rng.integers(80, 256, (120, 160, 3), np.uint8)
    page[20:36, 10:90] = 0
    (folder / "page").mkdir()
    (folder / "page/scan.jpg").write_bytes(cv2.imencode(".jpg", page)[1].tobytes())
    (folder / "config.json").write_text('{"fill_flat": false, "verify": false}')
    live.service.reader.answers = [[line()]]
    done = invoke(live, folder, "--remove-text", f"--image={folder / 'page'}",
                  f"--config={folder / 'config.json'}", f"--report={folder / 'report.jsonl'}",
                  mask=None)  # fmt: skip
    assert done.exit_code == 0, done.output
    result = pixels((folder / "out/scan.png").read_bytes())
    assert result[20:36, 10:90].mean() > 60
    assert json.loads((folder / "report.jsonl").read_text())["text_removed"] == 1


def test_folders_within_are_worked_on_recursively(live, folder):
    for kind in ("in", "masks"):
        (folder / kind / "deep").mkdir()
        (folder / kind / "deep/d.png").write_bytes((folder / kind / "a.png").read_bytes())
    assert invoke(live, folder, "--recursive").stdout == "4 done, 0 skipped, 0 failed\n"
    assert (folder / "out/deep/d.png").read_bytes() == (folder / "out/a.png").read_bytes()


@pytest.mark.parametrize(
    ("more", "mask", "said"),
    [
        ((), None, "--mask, or --remove-text"),
        (("--remove-text",), "masks", "--mask, or --remove-text"),
        (("--model=nope",), "masks", "No model is called 'nope'"),
        (("--format=xyz",), "masks", "--format"),
        (("--device=cpu",), "masks", "--device is for a server that is started"),
        (("--server=http://127.0.0.1:9",), "masks", "http://127.0.0.1:9: No answer"),
        (("--report=/nowhere/report",), "masks", "--report"),
        (("--config=/nowhere/config.json",), "masks", "--config"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is(live, folder, more, mask, said):
    done = invoke(live, folder, *more, mask=mask)
    assert done.exit_code == 1
    assert said in done.stderr
    assert not (folder / "out").exists()


def test_ctrl_c_ends_it_and_the_next_run_goes_on(live, folder):
    painters = live.service.painters
    gate = painters.gate = Gate()
    config = folder / "config.json"
    config.write_text('{"sd_steps": 1}')
    command = words(live, folder, "--model=painter", f"--config={config}", "--concurrency=2")
    process = subprocess.Popen(
        [sys.executable, "main.py", *command], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    give_up = time.monotonic() + 20
    while len(painters.seen) < 2:
        assert time.monotonic() < give_up
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=10)
    assert (process.returncode, said) == (130, "0 done, 0 skipped, 0 failed, 3 not tried\n")
    assert "Interrupted" in told
    assert "Traceback" not in told
    gate.open()
    done = invoke(live, folder, "--model=painter", f"--config={config}")
    assert done.stdout == "3 done, 0 skipped, 0 failed\n"
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.png", "b.png", "c.png"]
