"""A family that needs a GPU, on a cluster that has none yet."""

import time

import httpx
import pytest

from tests.clusters.conftest import family, service
from tests.conftest import png
from tests.serve.conftest import wait_for

FAMILIES = [family("Erase", ["cv2"], 0, least=1), family("SD15", ["mean-fill"], 0.4)]


def ask(running, photo, hole, model="mean-fill"):
    files = {"image": png(photo), "mask": png(hole)}
    return httpx.post(f"{running.url}/inpaint", files=files, data={"model": model}, timeout=90)


def succeeds(running, photo, hole):
    return ask(running, photo, hole).status_code == 200


@pytest.fixture(scope="module", params=["auto", True], ids=["fixed", "growing"])
def running(request):
    """On a cluster without GPU, whose size is taken for fixed or not."""
    with service(FAMILIES, cluster={"scalable": request.param}) as running:
        running.can_grow = request.param is True
        yield running


def test_a_family_without_a_gpu_until_one_comes(running, photo, hole):
    assert ask(running, photo, hole, "cv2").status_code == 200
    began = time.monotonic()
    answer = ask(running, photo, hole)
    took_s = time.monotonic() - began
    card = httpx.get(f"{running.url}/models/mean-fill").json()
    readiness = httpx.get(f"{running.url}/readyz")

    assert (answer.status_code, took_s < 15) == (503, True)
    assert readiness.status_code == 200
    if running.can_grow:
        assert answer.json()["type"] == "/problems/warming-up"
        assert int(answer.headers["retry-after"]) >= 1
        assert card["available"]
        assert readiness.json()["families"]["SD15"] != "no-gpu"
    else:
        assert answer.json()["type"] == "/problems/no-gpu"
        assert "retry-after" not in answer.headers
        assert "0.4 GPU" in answer.json()["detail"]
        assert "0.4 GPU" in card["unavailable_because"]
        assert readiness.json()["families"] == {"Erase": "running", "SD15": "no-gpu"}

    running.add_node(num_cpus=1, num_gpus=1)
    if running.can_grow:  # nobody asks again: the demand is kept
        wait_for(lambda: running.running("SD15") == 1)
    wait_for(lambda: succeeds(running, photo, hole), 60)
    assert httpx.get(f"{running.url}/models/mean-fill").json()["available"]
