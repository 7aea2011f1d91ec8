"""POST /inpaint on a real Serve application."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest
from skimage import data

from tests.conftest import pixels, png
from tests.serve.conftest import wait_for


@pytest.fixture(scope="module")
def coffee():
    """(400, 600, 3) uint8 RGB photo."""
    return data.coffee()


@pytest.fixture(scope="module")
def cup(coffee):
    mask = np.zeros(coffee.shape[:2], np.uint8)
    mask[120:240, 200:330] = 255
    return mask


def send(client, image, mask, **fields):
    files = {"image": png(image), "mask": png(mask)}
    headers = fields.pop("headers", {})
    return client.post("/inpaint", files=files, data=fields, headers=headers)


@pytest.mark.parametrize("model", ["cv2", "lama", "mean-fill"])
def test_model_answers_and_keeps_what_is_not_masked(client, coffee, cup, model):
    answer = send(client, coffee, cup, model=model)
    assert answer.status_code == 200, answer.text
    result = pixels(answer.content)
    np.testing.assert_array_equal(result[cup == 0], coffee[cup == 0])
    assert (result[cup > 0] != coffee[cup > 0]).any()
    assert answer.headers["x-model"] == model


def test_default_model_is_lama_where_its_weights_are(client, coffee, cup):
    assert send(client, coffee, cup).headers["x-model"] == "lama"


def test_large_tiles_travel_by_reference(client, rng):
    image = rng.integers(0, 256, (2000, 3000, 3), np.uint8)
    mask = np.zeros((2000, 3000), np.uint8)
    mask[900:950, 1500:1600] = 255
    answer = send(client, image, mask, model="mean-fill", hd_strategy="Original")
    assert answer.status_code == 200
    np.testing.assert_array_equal(pixels(answer.content)[mask == 0], image[mask == 0])


def test_models_shows_what_replicas_hold(client, coffee, cup):
    send(client, coffee, cup, model="lama")
    wait_for(lambda: client.get("/models/lama").json()["state"] == "loaded", 20)
    assert client.get("/models/lama").json()["replicas_holding"] == 1


def test_health_and_readiness(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready["ready"]
    families = {"Erase", "Fragile", "Narrow", "OCR", "Steps", "SD15", "SDXL", "Special"}
    assert set(ready["families"]) == families
    assert ready["families"]["Erase"] == "running"
    assert ready["families"]["SDXL"] in {"resting", "waking", "running"}  # others may have asked it


def test_answers_carry_one_request_id(client):
    sent = client.get("/healthz", headers={"x-request-id": "mine-1"})
    assert sent.headers.get_list("x-request-id") == ["mine-1"]
    assert len(client.get("/healthz").headers.get_list("x-request-id")) == 1


def test_errors_of_replicas_arrive_as_problems(client, coffee, cup):
    answer = send(client, coffee, cup, model="broken")
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/model-failed")
    assert "Traceback" not in answer.text
    answer = send(client, np.full_like(coffee, (255, 0, 0)), cup, model="broken")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/out-of-memory")


def test_replica_killed_under_a_request_is_not_seen_by_the_client(client, coffee, cup, scratch):
    answer = send(client, coffee, cup, model="dies-once")
    assert answer.status_code == 200, answer.text
    assert (scratch / "died").exists()
    np.testing.assert_array_equal(pixels(answer.content)[cup == 0], coffee[cup == 0])


def test_replica_killed_from_outside_is_not_seen_by_clients(client, coffee, cup):
    """kill -9 of the replica that is computing, found by its title among this test's children."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, client, coffee, cup, model="slow")
        time.sleep(0.7)
        for child in psutil.Process().children(recursive=True):
            if any("ServeReplica:inpaint:Narrow" in word for word in child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)
                break
        else:
            raise AssertionError("no replica of Narrow among the children")
        assert answer.result().status_code == 200, answer.result().text


def test_deadly_input_is_refused_and_others_go_on(client, coffee, cup):
    deadly = coffee.copy()
    deadly[0, 0] = (255, 0, 0)
    answer = send(client, deadly, cup, model="deadly", hd_strategy="Original")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/replica-lost")
    answer = send(client, coffee, cup, model="deadly", hd_strategy="Original")
    assert answer.status_code == 200, answer.text


def test_full_queue_is_503_with_retry_after(client, coffee, cup):
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(send, client, coffee, cup, model="slow") for _ in range(8)]
        results = [future.result() for future in sent]
    statuses = [answer.status_code for answer in results]
    assert set(statuses) == {200, 503}, statuses
    refused = next(answer for answer in results if answer.status_code == 503)
    assert refused.json()["type"] == "/problems/overloaded"
    assert refused.headers["retry-after"] == "2"


def test_deadline_is_504(client, coffee, cup):
    began = time.monotonic()
    answer = send(client, coffee, cup, model="slow", headers={"x-timeout-seconds": "0.3"})
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline")
    assert time.monotonic() - began < 1.4


def slow_runs(scratch):
    log = scratch / "slow.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_hang_up_takes_waiting_work_off_the_queue(url, client, coffee, cup, scratch):
    """Two clients; the second one's tile waits behind the first's and is dropped."""
    with httpx.Client(base_url=url, timeout=60) as first, ThreadPoolExecutor(1) as pool:
        time.sleep(2)  # the forward of a request that gave up earlier runs to its end
        before = slow_runs(scratch)
        running = pool.submit(send, first, coffee, cup, model="slow")
        time.sleep(0.5)
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=url, timeout=0.3) as second:
            send(second, coffee, cup, model="slow")
        assert running.result().status_code == 200
        time.sleep(2)
        assert slow_runs(scratch) == before + 1


def test_cancelling_by_id_works_from_any_ingress_replica(client, coffee, cup):
    for number in range(3):  # two ingress replicas: one of three tries meets the other one
        headers = {"x-request-id": f"cancel-{number}"}
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(send, client, coffee, cup, model="slow", headers=headers)
            time.sleep(0.6)
            answer = client.delete(f"/requests/cancel-{number}")
            assert answer.json()["cancelled"], answer.text
            assert running.result().json()["type"] == "/problems/cancelled"
    assert client.delete("/requests/none").status_code == 404


@pytest.mark.parametrize("declares_its_length", [True, False])
def test_body_of_300_mb_is_413_and_the_server_goes_on(url, client, declares_its_length):
    def body():
        for _ in range(300):
            yield b"x" * 2**20

    headers = {"content-type": "application/json"}
    if declares_its_length:
        headers["content-length"] = str(300 * 2**20)
    answer = client.post("/inpaint", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
    with httpx.Client(base_url=url) as other:
        assert other.get("/healthz").status_code == 200


def test_headers_that_switch_limits_off_are_stripped(client, coffee, cup):
    headers = {"x-request-timeout-seconds": "0.01"}
    assert send(client, coffee, cup, model="cv2", headers=headers).status_code == 200


def test_concurrent_requests_of_several_models_are_all_answered(url, coffee, cup):
    results = []

    def work(model):
        with httpx.Client(base_url=url, timeout=60) as own:
            results.append((model, send(own, coffee, cup, model=model).status_code))

    threads = [
        threading.Thread(target=work, args=(model,))
        for model in ("cv2", "lama", "mean-fill", "noise") * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for _, status in results} == {200}, results
