"""The blocks of docs/client.md, run as they stand."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import inpaint_client
from tests.conftest import png
from tests.unit.test_text_rules import line

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
URL = "http://127.0.0.1:8080"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n", 1)[0][-40:])
def test_a_block_runs(block, live, service, photo, hole, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "a.jpg", "b.jpg"):
        Path(name).write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())
    Path("mask.png").write_bytes(png(hole))
    service.reader.answers = [[line()], [line()]]
    assert URL in block
    code = block.replace(URL, live.url).replace('"NAME"', '"painter"')
    exec(compile(code, "client.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    said = capsys.readouterr().out
    assert said or "retries=" in block
    if "lama" in block:
        assert "weights-missing" in said
    if "clean.jpg" in block:
        clean = cv2.imread("clean.jpg")
        assert np.abs(clean.astype(int) - photo)[hole == 0].mean() < 5


def test_the_page_names_every_exception():
    names = [name for name in inpaint_client.__all__ if name.endswith("Error")]
    assert len(names) > 15
    assert not [name for name in names if f"`{name}`" not in PAGE]
