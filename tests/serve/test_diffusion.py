"""Models with a prompt on a real Serve application: progress, hanging up, cancelling, retrying."""

import base64
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import psutil
import pytest

from tests.conftest import pixels, png
from tests.events import events_in
from tests.serve.conftest import wait_for

STEP_S = 0.3
LIMIT_S = 60


@pytest.fixture(scope="module")
def picture():
    """(96, 128, 3) uint8 RGB noise."""
    return np.random.default_rng(5).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.fixture(scope="module")
def middle():
    mask = np.zeros((96, 128), np.uint8)
    mask[32:64, 40:80] = 255
    return mask


def request_of(picture, mask, prompt, steps, **headers):
    fields = {"model": "steps", "prompt": prompt, "sd_steps": steps, "seed": 7, "sd_mask_blur": 0}
    return {
        "files": {"image": png(picture), "mask": png(mask)},
        "data": fields,
        "headers": headers,
    }


def send(client, picture, mask, prompt, steps=3, **headers):
    return client.post("/inpaint", **request_of(picture, mask, prompt, steps, **headers))


@contextmanager
def events(client, picture, mask, prompt, steps=3, previews=False, **headers):
    """The events of a request, as they come in; and its response."""
    request = request_of(picture, mask, prompt, steps, accept="text/event-stream", **headers)
    if previews:
        request["data"]["previews"] = "true"
    with client.stream("POST", "/inpaint", **request) as answer:
        yield events_in(answer), answer


def painted_from(picture, mask, seed, steps):
    """What the model paints, computed here."""
    generator = np.random.default_rng(seed)
    result = picture.copy()
    for _ in range(steps):
        result[mask > 0] += generator.integers(0, 256, picture.shape, np.uint8)[mask > 0]
    return result


def steps_of(scratch, prompt):
    """Number and time of each step that runs of this prompt took."""
    log = scratch / "steps.log"
    lines = log.read_text().splitlines() if log.exists() else []
    taken = [line.split("\t") for line in lines]
    return [(int(number), float(when)) for name, number, when in taken if name == prompt]


def test_a_picture_is_painted(client, picture, middle):
    answer = send(client, picture, middle, "plain")
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(pixels(answer.content), painted_from(picture, middle, 7, 3))
    assert (answer.headers["x-model"], answer.headers["x-seed"]) == ("steps", "7")
    wait_for(lambda: client.get("/models/steps").json()["replicas_holding"] >= 1, 20)


def test_events_come_while_the_run_is_under_way(client, picture, middle):
    with events(client, picture, middle, "stream", 5, previews=True) as (incoming, answer):
        came = [(time.monotonic(), name, data) for name, data in incoming]
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (answer.headers["x-model"], answer.headers["x-seed"]) == ("steps", "7")
    assert answer.headers["x-request-id"] == came[0][2]["request_id"]
    assert [name for _, name, _ in came] == ["started", *["step"] * 5, "result"]
    times = [when for when, name, _ in came if name == "step"]
    assert times[-1] - times[0] > 3 * STEP_S  # not all at the end
    previews = [pixels(base64.b64decode(data["preview"])) for _, name, data in came[1:6]]
    assert {preview.shape for preview in previews} == {(12, 16, 3)}
    finished = pixels(base64.b64decode(came[-1][2]["image"]))
    np.testing.assert_array_equal(finished, painted_from(picture, middle, 7, 5))


def hang_up_of(how, url, picture, middle, prompt):
    """Have a run of 50 steps under way, end it, and give the time of that."""
    if how == "stream":
        with (
            httpx.Client(base_url=url, timeout=LIMIT_S) as client,
            events(client, picture, middle, prompt, 50) as (incoming, _),
        ):
            while next(incoming)[1].get("step") != 2:
                pass
        return time.time()
    with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=url, timeout=1.2) as client:
        send(client, picture, middle, prompt, 50)
    return time.time()


@pytest.mark.parametrize("how", ["stream", "plain"])
def test_hanging_up_frees_the_device_at_the_next_step(url, client, picture, middle, scratch, how):
    prompt = f"hang up {how}"
    gone = hang_up_of(how, url, picture, middle, prompt)
    answer = send(client, picture, middle, f"after {prompt}", 1)
    assert answer.status_code == 200
    free = steps_of(scratch, f"after {prompt}")[0][1]
    late = [number for number, when in steps_of(scratch, prompt) if when > gone]
    assert len(late) <= 1
    assert free - gone < 2 * STEP_S + 0.5


def test_a_request_that_is_given_up_in_line_never_starts(url, client, picture, middle, scratch):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(send, client, picture, middle, "in front", 8)
        wait_for(lambda: steps_of(scratch, "in front"), 20)
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=url, timeout=0.5) as other:
            send(other, picture, middle, "given up", 3)
        assert running.result().status_code == 200
    assert send(client, picture, middle, "behind", 1).status_code == 200
    assert steps_of(scratch, "given up") == []


def test_cancelling_by_id_ends_the_run_at_its_next_step(url, client, picture, middle, scratch):
    for number in range(2):  # there are two ingress replicas
        prompt = headers_id = f"cancel-{number}"
        with events(client, picture, middle, prompt, 50, **{"x-request-id": headers_id}) as (
            incoming,
            _,
        ):
            while next(incoming)[1].get("step") != 2:
                pass
            with httpx.Client(base_url=url, timeout=LIMIT_S) as other:
                assert other.delete(f"/requests/{headers_id}").json()["cancelled"]
            gone = time.time()
            *_, (name, problem) = incoming
        assert (name, problem["type"], problem["status"]) == ("error", "/problems/cancelled", 409)
        time.sleep(3 * STEP_S)
        late = [step for step, when in steps_of(scratch, prompt) if when > gone]
        assert len(late) <= 1
    with ThreadPoolExecutor(1) as pool:
        headers = {"x-request-id": "cancel-plain"}
        running = pool.submit(send, client, picture, middle, "cancel plain", 50, **headers)
        wait_for(lambda: steps_of(scratch, "cancel plain"), 20)
        with httpx.Client(base_url=url, timeout=LIMIT_S) as other:
            assert other.delete("/requests/cancel-plain").json()["cancelled"]
        assert running.result().json()["type"] == "/problems/cancelled"


def test_the_deadline_ends_the_run(client, picture, middle, scratch):
    answer = send(client, picture, middle, "late", 50, **{"x-timeout-seconds": "1"})
    gone = time.time()
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline")
    timeout = {"x-timeout-seconds": "1.5"}
    with events(client, picture, middle, "late stream", 50, **timeout) as (incoming, _):
        *_, (name, problem) = incoming
    assert (name, problem["type"], problem["status"]) == ("error", "/problems/deadline", 504)
    late = [step for step, when in steps_of(scratch, "late") if when > gone]
    assert len(late) <= 1


def test_a_full_queue_is_503_with_retry_after_for_streams_too(url, picture, middle):
    """The replica holds two, each of two ingress replicas one more."""
    answers = []

    def ask(number):
        accept = "text/event-stream" if number % 2 else "image/png"
        with httpx.Client(base_url=url, timeout=LIMIT_S) as own:
            answers.append(send(own, picture, middle, "crowd", 6, accept=accept))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.json()["type"] for answer in refused} == {"/problems/overloaded"}
    assert {answer.headers["retry-after"] for answer in refused} == {"2"}


def test_what_does_not_fit_is_an_error_and_the_replica_goes_on(client, picture, middle):
    answer = send(client, picture, middle, "memory")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/out-of-memory")
    assert "secret" not in answer.text
    assert send(client, picture, middle, "after memory").status_code == 200


def check_restarted(came, picture, middle, steps):
    names = [name for name, _ in came]
    assert names.count("restarted") == 1, names
    again = names.index("restarted")
    numbers = [data["step"] for name, data in came[again:] if name == "step"]
    assert numbers == list(range(1, steps + 1))
    assert 1 <= names[:again].count("step") < steps
    finished = pixels(base64.b64decode(came[-1][1]["image"]))
    np.testing.assert_array_equal(finished, painted_from(picture, middle, 7, steps))


def test_a_run_that_loses_its_replica_begins_anew(client, picture, middle):
    with events(client, picture, middle, "die once", 5) as (incoming, _):
        came = list(incoming)
    check_restarted(came, picture, middle, 5)


def test_a_replica_that_is_killed_is_not_missed(client, picture, middle):
    with events(client, picture, middle, "killed", 8) as (incoming, _):
        came = [next(incoming) for _ in range(3)]
        for child in psutil.Process().children(recursive=True):
            if any("ServeReplica:inpaint:Steps" in word for word in child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)
                break
        else:
            raise AssertionError("no replica of Steps among the children")
        came += incoming
    check_restarted(came, picture, middle, 8)
