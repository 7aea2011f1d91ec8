"""What a running service tells of itself: traces, logs with ids, and how each family is."""

import json
import os
import signal
import time
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest
import ray

from tests.clusters.conftest import family, service
from tests.clusters.otlp import collector
from tests.conftest import png
from tests.faults.parts import processes
from tests.serve.conftest import wait_for

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
ERASE = family("Erase", ["cv2"], 0, least=1)
READ = family("OCR", ["dying-reader"], 0, kind="ocr", least=1)
REST = family("Rest", ["mean-fill"], 0)
BROKEN = family("Broken", ["noise"], 0)
BROKEN[1]["user_config"] = {"no_such_setting": 1}


@pytest.fixture(scope="module")
def traces():
    with collector() as server:
        yield server


@pytest.fixture(scope="module")
def running(traces, tmp_path_factory):
    """The service with all of its telling switched on, as docs/observability.md says."""
    scratch = tmp_path_factory.mktemp("scratch")
    (scratch / "reader-died").touch()
    environment = {
        "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH": "serve_app.tracing:span_processors",
        "RAY_SERVE_TRACING_SAMPLING_RATIO": "1",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.proxy:layers",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "AWKWARD_MODELS_SCRATCH": str(scratch),
    }
    families = [ERASE, READ, REST, BROKEN]
    ingress = {"logging_config": {"encoding": "JSON", "enable_access_log": False}}
    with service(families, environment=environment, ingress=ingress) as running:
        running.document["logging_config"] = {"encoding": "JSON"}
        running.deploy()
        wait_for(lambda: is_json("replica_inpaint_Erase") and is_json("replica_inpaint_OCR"), 20)
        yield running


@pytest.fixture(scope="module")
def sign():
    """A busy picture with a black bar, which the tests' reader takes for text."""
    image = np.random.default_rng(7).integers(60, 256, (120, 160, 3), np.uint8)
    image[40:60, 30:120] = 0
    return image


def remove_text(running, sign, request_id):
    headers = {"traceparent": TRACEPARENT, "x-request-id": request_id}
    files, data = {"image": png(sign)}, {"model": "cv2", "keep": "my secret"}
    return httpx.post(
        f"{running.url}/remove-text", files=files, data=data, headers=headers, timeout=60
    )


def logs(name=""):
    """Lines of the logs of Serve's processes whose files are called so at their beginning."""
    folder = Path(ray._private.worker._global_node.get_logs_dir_path()) / "serve"
    return [line for path in folder.glob(f"{name}*.log") for line in path.read_text().splitlines()]


def is_json(name):
    return logs(name)[-1:] and logs(name)[-1].startswith("{")


def lines_of(request_id):
    """What all replicas have logged of a request."""
    lines = [line for line in logs("replica") if f'"{request_id}"' in line]
    return [json.loads(line) for line in lines]


def readiness(running):
    answer = httpx.get(f"{running.url}/readyz", timeout=10)
    return answer.status_code, answer.json()


def paint(running, photo, hole, model, timeout_s=30):
    files = {"image": png(photo), "mask": png(hole)}
    headers = {"x-timeout-seconds": str(timeout_s)}
    return httpx.post(
        f"{running.url}/inpaint", files=files, data={"model": model}, headers=headers, timeout=60
    )


def test_one_request_is_one_trace_of_the_client_across_ingress_and_replicas(running, traces, sign):
    answer = remove_text(running, sign, "traced-1")
    assert (answer.status_code, answer.headers["x-text-removed"]) == (200, "1"), answer.text
    names = {"load", "read", "forward", "POST /remove-text", "encode", "models", "paste"}
    wait_for(lambda: names <= {span.name for span in traces.spans(TRACE)}, 20)
    wait_for(lambda: any(span.parent == SPAN for span in traces.spans(TRACE)), 20)
    spans = {span.id: span for span in traces.spans(TRACE)}

    def way_up(span):
        """Names of the spans around one, from the inside out."""
        while span:
            yield span.name
            above = span.parent
            span = spans.get(above)
        assert above == SPAN  # the client's

    ways = [list(way_up(span)) for span in spans.values()]
    assert all("Ingress" in way[-1] for way in ways)
    forwards = [way for way in ways if way[0] == "forward"]
    above = {(way[1], way[3], way[4]) for way in forwards}
    assert above == {
        ("replica_handle_request OCR read", "read", "POST /remove-text"),
        ("replica_handle_request OCR read", "verify", "POST /remove-text"),
        ("replica_handle_request Erase paint", "models", "POST /remove-text"),
    }
    [request] = [span for span in spans.values() if span.name == "POST /remove-text"]
    assert request.attributes["inpaint.request_id"] == "traced-1"
    assert request.attributes["inpaint.model"] == "cv2"
    assert request.attributes["inpaint.family"] == "Erase"
    assert request.attributes["inpaint.tiles"] == 1
    assert "secret" not in str(spans)


def test_every_process_logs_the_id_that_the_answer_has(running, sign):
    answer = remove_text(running, sign, "logged-1")
    assert answer.headers["x-request-id"] == "logged-1"
    deployments = {"inpaint_Ingress", "inpaint_OCR", "inpaint_Erase"}
    wait_for(lambda: deployments <= {line["deployment"] for line in lines_of("logged-1")}, 10)
    wait_for(lambda: any("logged-1" in line for line in logs("proxy")), 10)
    lines = lines_of("logged-1")
    assert {line["request_id"] for line in lines} == {"logged-1"}
    [ours] = [line for line in lines if "http_route" in line]
    assert ours["deployment"] == "inpaint_Ingress"
    assert (ours["http_method"], ours["http_route"]) == ("POST", "/remove-text")
    assert (ours["status"], ours["model"], ours["family"]) == (200, "cv2", "Erase")
    assert ours["bytes_out"] == len(answer.content)
    assert ours["duration_ms"] > ours["stages_ms"]["models"] > 0
    assert ours["replica"]
    assert "secret" not in str(lines)


def test_an_id_that_is_not_well_formed_is_replaced_everywhere(running):
    sent = {"x-request-id": "no id {at all}"}
    answer = httpx.get(f"{running.url}/models", headers=sent)
    [given] = answer.headers.get_list("x-request-id")
    assert given != sent["x-request-id"]
    wait_for(lambda: lines_of(given) and any(given in line for line in logs("proxy")), 10)
    assert not [line for line in logs() if sent["x-request-id"] in line]


def test_what_the_proxy_answers_by_itself_is_timed(running):
    for path in ("/-/healthz", "/-/routes"):
        answer = httpx.get(f"{running.url}{path}")
        assert answer.headers["server-timing"].startswith("total;dur=")
    answer = httpx.get(f"{running.url}/models")
    assert len(answer.headers.get_list("server-timing")) == 1


def test_readiness_follows_each_family(running, photo, hole):
    status, told = readiness(running)
    assert (status, told["families"]["Erase"], told["families"]["Rest"]) == (
        200,
        "running",
        "resting",
    )
    assert told["seen_s_ago"] < 10
    seen, slowest_s = set(), 0.0
    waking = Thread(target=paint, args=(running, photo, hole, "mean-fill"))
    waking.start()
    while waking.is_alive():
        began = time.monotonic()
        status, told = readiness(running)
        slowest_s = max(slowest_s, time.monotonic() - began)
        seen.add((status, told["families"]["Rest"]))
        time.sleep(0.1)
    wait_for(lambda: readiness(running)[1]["families"]["Rest"] == "running", 10)
    assert seen <= {(200, "resting"), (200, "waking"), (200, "running")}
    assert slowest_s < 3  # a family that starts keeps no probe waiting


def test_readiness_outlives_the_controller_and_does_not_wait_for_it(running):
    [controller] = processes("ray::ServeController")
    before = readiness(running)[1]["families"]
    os.kill(controller.pid, signal.SIGSTOP)
    try:
        time.sleep(2.5)  # what was seen last is too old to do
        began = time.monotonic()
        told = [readiness(running) for _ in range(20)]
        took_s = time.monotonic() - began
        assert httpx.get(f"{running.url}/healthz", timeout=2).status_code == 200
    finally:
        os.kill(controller.pid, signal.SIGCONT)
    assert took_s < 5
    assert {status for status, _ in told} == {200}
    assert all(families["families"] == before for _, families in told)
    assert told[-1][1]["seen_s_ago"] > 2
    wait_for(lambda: readiness(running)[1]["seen_s_ago"] < 2, 30)


@pytest.mark.chaos
def test_a_family_that_cannot_start_is_told_of_and_refused_and_the_others_go_on(
    running, photo, hole
):
    Thread(target=paint, args=(running, photo, hole, "noise", 60), daemon=True).start()
    wait_for(lambda: readiness(running)[1]["families"]["Broken"] == "failed", 90)
    status, told = readiness(running)
    assert (status, told["ready"], told["families"]["Erase"]) == (503, False, "running")
    began = time.monotonic()
    refused = paint(running, photo, hole, "noise")
    assert (refused.status_code, refused.json()["title"]) == (503, "unavailable")
    assert time.monotonic() - began < 5
    assert paint(running, photo, hole, "cv2").status_code == 200

    entries = running.document["applications"][0]["deployments"]
    [entry] = [entry for entry in entries if entry["name"] == "Broken"]
    entry["user_config"] = {}
    running.deploy()
    wait_for(lambda: paint(running, photo, hole, "noise").status_code == 200, 90)
    wait_for(lambda: readiness(running)[1]["families"]["Broken"] == "running", 20)
