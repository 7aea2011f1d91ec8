"""`bench` and `plot`: what is measured, written and drawn."""

import json
import xml.etree.ElementTree as ET
from itertools import count

import numpy as np
import pytest
from typer.testing import CliRunner

from inpaint.errors import ModelError, OverloadedError
from serve_app.charts import Bars, write
from serve_app.cli import app
from serve_app.cli.bench_load import Sample, make_pair, summed_up
from serve_app.cli.plot_sheet import CAPTION_PX, CELL_PX, GAP_PX, PAIR_GAP_PX
from tests.conftest import pixels, png

SVG = "{http://www.w3.org/2000/svg}"


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def bench(live, *more):
    return invoke("bench", f"--server={live.url}", "--seconds=0.1", *more)


def test_every_model_size_and_number_of_clients_is_measured(live, tmp_path):
    models, sizes = ("--model=cv2", "--model=painter"), ("--size=64", "--size=96x80")
    clients = ("--concurrency=1", "--concurrency=3")
    done = bench(live, *models, *sizes, *clients, f"--output={tmp_path / 'bench.json'}")
    assert done.exit_code == 0, done.output
    assert "painter" in done.stderr
    cases = json.loads((tmp_path / "bench.json").read_text())["cases"]
    assert [(case["model"], case["size"], case["clients"]) for case in cases] == [
        (model, size, clients)
        for model in ("cv2", "painter")
        for size in ([64, 64], [96, 80])
        for clients in (1, 3)
    ]
    for case in cases:
        latency = case["latency_ms"]
        assert case["requests"] >= case["clients"]
        assert case["failed"] == {}
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["longest"]
        assert case["server_ms"]["total"] < latency["longest"]
        assert case["per_second"] == pytest.approx(case["requests"] / case["seconds"], rel=0.01)
    sent = [call.image.shape for call in live.service.painters.seen]
    assert {(64, 64, 3), (80, 96, 3)} <= set(sent)


def test_the_json_goes_to_stdout_where_no_file_is_named(live):
    done = bench(live, "--model=cv2", "--size=32", "--concurrency=1")
    assert len(json.loads(done.stdout)["cases"]) == 1


def test_refusals_are_counted_and_not_retried(live, monkeypatch):
    family = live.service.families["Erase"]

    paint, calls = family.paint, count()

    async def every_third(*given):
        if next(calls) % 3 == 2:
            raise OverloadedError("full")
        return await paint(*given)

    monkeypatch.setattr(family, "paint", every_third)
    done = bench(live, "--model=cv2", "--size=32", "--concurrency=1")
    [case] = json.loads(done.stdout)["cases"]
    assert case["failed"]["overloaded"] >= 1
    assert case["requests"] > case["failed"]["overloaded"]


def test_what_cannot_be_measured_is_told(live):
    assert "'0x5'" in bench(live, "--model=cv2", "--size=0x5").stderr
    assert "nope" in bench(live, "--model=nope").stderr
    live.service.families["Erase"].fail_with = [ModelError("it broke")]
    done = bench(live, "--model=cv2")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "it broke" in done.stderr


def test_a_case_is_summed_up_by_its_successes():
    samples = [Sample(ms / 1e3, None, {"total": ms / 2}) for ms in range(1, 101)]
    samples += [Sample(9.0, "overloaded", {}), Sample(9.0, "overloaded", {})]
    told = summed_up(samples, 4.0)
    assert (told["requests"], told["failed"], told["per_second"]) == (102, {"overloaded": 2}, 25.0)
    assert told["latency_ms"]["p50"] == pytest.approx(50.5)
    assert told["latency_ms"]["p95"] == pytest.approx(95.05)
    assert (told["latency_ms"]["longest"], told["server_ms"]) == (100, {"total": 25.25})
    assert summed_up(samples[-1:], 1.0)["latency_ms"] == {}


def test_the_pictures_are_the_same_each_time_and_of_the_size_that_was_asked_for():
    pair = make_pair((48, 64))
    assert pair == make_pair((48, 64))
    assert pixels(pair.image).shape == (48, 64, 3)
    mask = pixels(pair.mask)
    assert (mask.shape, int((mask > 0).sum())) == ((48, 64), 12 * 12)


# plot


@pytest.fixture
def result(tmp_path):
    """Writes what `bench` would: (model, size, clients, p50, per second, failed) each."""

    def write(name, *cases):
        entries = [
            {"model": model, "size": [size, size], "clients": clients, "requests": 10,
             "failed": {"overloaded": failed} if failed else {}, "seconds": 1.0, "server_ms": {},
             "per_second": rate, "latency_ms": {"p50": p50, "p95": 2 * p50, "p99": 3 * p50}}
            for model, size, clients, p50, rate, failed in cases
        ]  # fmt: skip
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"cases": entries}))
        return path

    return write


def drawn(path):
    root = ET.parse(path).getroot()  # noqa: S314  our own
    texts = [element.text for element in root.iter(f"{SVG}text")]
    return root, texts


def test_a_sweep_over_clients_becomes_curves_and_bars(result, tmp_path):
    cases = [("lama", 512, n, 10.0 * n, 50.0, 0) for n in (1, 4)]
    cases += [("own/cv2", 512, n, 5.0 * n, 80.0, 0) for n in (1, 4)]
    done = invoke("plot", result("a", *cases), f"--output={tmp_path / 'a.svg'}")
    assert done.exit_code == 0, done.output
    root, texts = drawn(tmp_path / "a.svg")
    assert {"Throughput", "Latency, p95", "Latency in ms", "lama 512", "cv2 512"} <= set(texts)
    assert len(list(root.iter(f"{SVG}polyline"))) == 4
    assert len(list(root.iter(f"{SVG}rect"))) == 1 + 4 * 3
    assert "Requests that failed, in percent" not in texts


def test_files_are_compared_by_their_names_and_failures_are_shown(result, tmp_path):
    before = result("before", ("lama", 512, 1, 10.0, 50.0, 0))
    after = result("after", ("lama", 512, 1, 8.0, 60.0, 2))
    assert invoke("plot", before, after, f"--output={tmp_path / 'a.svg'}").exit_code == 0
    root, texts = drawn(tmp_path / "a.svg")
    assert {"before: lama 512, 1 at once", "after: lama 512, 1 at once"} <= set(texts)
    assert {"Pictures a second", "Requests that failed, in percent", "20"} <= set(texts)
    assert list(root.iter(f"{SVG}polyline")) == []


def test_bars_are_as_long_as_their_values(tmp_path):
    write(
        tmp_path / "a.svg",
        [Bars("t", ("p50", "p95"), [("<one>", (1.0, 2.0)), ("two", (4.0, 0.0))])],
    )
    root, texts = drawn(tmp_path / "a.svg")
    widths = [float(one.get("width")) for one in root.iter(f"{SVG}rect") if one.get("x")]
    assert widths[3] == 0
    assert [width / widths[0] for width in widths[:3]] == pytest.approx([1, 2, 4], rel=0.01)
    assert "<one>" in texts


def test_a_sheet_shows_both_pictures_of_each_name(tmp_path, photo):
    for folder, image in (("before", photo), ("after", 255 - photo)):
        (tmp_path / folder).mkdir()
        for name in ("a", "b", "c"):
            (tmp_path / folder / f"{name}.png").write_bytes(png(image))
    (tmp_path / "before/lonely.png").write_bytes(png(photo))
    words = (f"--before={tmp_path / 'before'}", f"--after={tmp_path / 'after'}")
    assert invoke("plot", *words, f"--output={tmp_path / 'sheet.png'}").exit_code == 0
    sheet = pixels((tmp_path / "sheet.png").read_bytes())
    pair = 2 * CELL_PX + GAP_PX
    row = CAPTION_PX + CELL_PX + GAP_PX
    assert sheet.shape == (2 * row, 2 * pair + PAIR_GAP_PX, 3)
    height = CELL_PX * 120 // 160
    first = sheet[CAPTION_PX : CAPTION_PX + height, :CELL_PX].astype(int)
    second = sheet[CAPTION_PX : CAPTION_PX + height, CELL_PX + GAP_PX : pair].astype(int)
    assert np.abs(first + second - 255).max() <= 1
    assert first.std() > 20
    assert (sheet[row:, pair + PAIR_GAP_PX :] == 255).all()
    assert invoke("plot", *words, f"--output={tmp_path / 's.jpg'}", "--limit=1").exit_code == 0
    assert pixels((tmp_path / "s.jpg").read_bytes()).shape == (row, pair, 3)


def test_what_cannot_be_drawn_is_told(result, tmp_path):
    good = result("good", ("lama", 512, 1, 1.0, 1.0, 0))
    (tmp_path / "bad.json").write_text('{"cases": [{}]}')
    (tmp_path / "no.json").write_text("<svg/>")
    assert "not what" in invoke("plot", tmp_path / "bad.json").stderr
    assert "not what" in invoke("plot", tmp_path / "no.json").stderr
    assert "No such file" in invoke("plot", tmp_path / "nothing.json").stderr
    assert "SVG" in invoke("plot", good, "--output=chart.png").stderr
    assert "Name files" in invoke("plot").stderr
    assert (
        "Name files" in invoke("plot", good, f"--before={tmp_path}", f"--after={tmp_path}").stderr
    )
    sheet = invoke("plot", f"--before={tmp_path}", f"--after={tmp_path}", "--output=a.txt")
    assert "sheet.jpg" in sheet.stderr
