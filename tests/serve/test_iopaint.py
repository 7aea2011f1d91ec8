"""The default model of /api/v1 on real Serve: one truth for two ingress replicas."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import ray
from ray.util import list_named_actors

from tests.conftest import pixels
from tests.iopaint_requests import inpaint_body, raised
from tests.serve.conftest import wait_for

MODEL = "/api/v1/model"
ENOUGH = 24
"""Requests that Serve's router spreads over both replicas; that it sends all to one is out of
the question when they run at once."""


def at_once(url, ask, count=ENOUGH):
    """`ask(client)` on a connection each, all at the same time."""

    def one(number):
        with httpx.Client(base_url=url, timeout=60) as client:
            return ask(client)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def named_default(client):
    return client.get(MODEL).json()["name"]


def defaults(url):
    """Every default model that is told at the moment."""
    return set(at_once(url, named_default))


def switch(client, name):
    answer = client.post(MODEL, json={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.json()["name"]


def registry_replicas():
    """The names of the Registry's actors."""
    return {
        actor["name"]
        for actor in list_named_actors(all_namespaces=True)
        if "#Registry#" in actor["name"] and actor["name"].startswith("SERVE_REPLICA")
    }


@pytest.fixture(autouse=True)
def _lama_again(client, url):
    """Leave the default as the other modules expect it."""
    yield
    switch(client, "lama")
    wait_for(lambda: defaults(url) == {"lama"}, 20)


def test_every_replica_follows_a_switch_and_stays(client, url):
    assert defaults(url) == {"lama"}
    assert switch(client, "mean-fill") == "mean-fill"
    time.sleep(1.2)
    for _ in range(4):
        assert defaults(url) == {"mean-fill"}


def test_a_switch_holds_for_requests_without_a_model(client, url, photo, hole):
    switch(client, "mean-fill")
    time.sleep(1.2)
    body = inpaint_body(photo, hole)
    answers = at_once(url, lambda one: one.post("/api/v1/inpaint", json=body))
    assert {answer.headers["x-model"] for answer in answers} == {"mean-fill"}
    filled = pixels(answers[0].content)
    np.testing.assert_array_equal(filled[hole == 0], photo[hole == 0])
    expected = photo[hole == 0].mean(axis=0).round()
    assert (filled[hole > 0] == expected).all()
    assert client.get("/models").json()["default"] == "mean-fill"


def test_of_many_switches_at_once_one_holds(client, url):
    names = ["cv2", "mean-fill", "noise"]

    def change(one):
        name = names[int(time.monotonic() * 1e6) % 3]
        return one.post(MODEL, json={"name": name}).status_code

    assert set(at_once(url, change)) == {200}
    time.sleep(1.2)
    told = defaults(url)
    assert len(told) == 1
    assert told <= {*names}
    assert defaults(url) == told


def test_a_refused_switch_changes_nothing(client, url):
    switch(client, "mean-fill")
    raised(client.post(MODEL, json={"name": "nope"}), 404, "UnknownModelError")
    raised(client.post(MODEL, json={"name": "dying-reader"}), 422, "ParamsError")
    time.sleep(1.2)
    assert defaults(url) == {"mean-fill"}


def test_a_registry_that_dies_takes_the_switch_along_and_no_request(client, url, photo, hole):
    switch(client, "mean-fill")
    before = registry_replicas()
    (name,) = before
    ray.kill(ray.get_actor(name, namespace="serve"))
    body = inpaint_body(photo, hole)
    ends = time.monotonic() + 8
    while time.monotonic() < ends:
        answer = client.post("/api/v1/inpaint", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-model"] in ("mean-fill", "lama")
    wait_for(lambda: registry_replicas() - before, 60)
    wait_for(lambda: defaults(url) == {"lama"}, 30)
    assert switch(client, "mean-fill") == "mean-fill"
    wait_for(lambda: defaults(url) == {"mean-fill"}, 20)
