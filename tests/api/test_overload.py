"""What the edge refuses when it holds too much, and that it goes on afterwards."""

import asyncio
import time
from contextlib import suppress

import numpy as np
import pytest

from inpaint.errors import OverloadedError
from inpaint.settings import IngressConfig
from tests.api.test_inpaint import form, problem
from tests.api.test_service import Stuck
from tests.local_service import LocalService


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True)


@pytest.fixture
def stuck(service):
    family = Stuck()
    service.gateway._families = {"Erase": family}
    return family


@pytest.fixture
def large(rng):
    """A picture and its mask that count 600 x 600 x (8 + 2) bytes, and 7 as a tile: 5.8 MiB."""
    picture = rng.integers(0, 256, (600, 600, 3), np.uint8)
    mask = np.zeros((600, 600), np.uint8)
    mask[290:310, 290:310] = 255
    return picture, mask


async def end(task):
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_pictures_beyond_the_memory_for_them_are_503_until_others_have_ended(
    service, stuck, large, photo, hole
):
    service.gateway.configure(IngressConfig(max_pictures_mb=7))
    async with service.client() as client:
        held = asyncio.create_task(client.post("/inpaint", **form(*large, model="cv2")))
        await stuck.started.wait()
        answer = await client.post("/inpaint", **form(*large, model="cv2"))
        assert "as many pictures as it has memory for" in problem(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        answer = await client.post("/ocr", files={"image": form(*large)["files"]["image"]})
        problem(answer, 503, "overloaded")
        small = asyncio.create_task(client.post("/inpaint", **form(photo, hole, model="cv2")))
        await asyncio.wait_for(stuck.both_started.wait(), 5)
        await end(small)
        await end(held)
        assert service.gateway._pictures.held == 0
        answer = await client.post("/ocr", files={"image": form(*large)["files"]["image"]})
        assert answer.status_code == 200, answer.text


async def test_one_picture_larger_than_the_memory_for_all_is_painted_alone(service, large):
    service.gateway.configure(IngressConfig(max_pictures_mb=1))
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(*large, model="cv2"))
    assert answer.status_code == 200, answer.text


async def test_bodies_beyond_the_memory_for_them_are_503(service, stuck, large):
    async with service.client() as client:
        held = asyncio.create_task(client.post("/inpaint", **form(*large, model="cv2")))
        await stuck.started.wait()
        body = service.gateway.bodies.held
        assert body > len(form(*large)["files"]["image"])
        service.gateway.bodies.limit = int(1.5 * body)
        answer = await client.post("/inpaint", **form(*large, model="cv2"))
        assert "as many bodies and answers" in problem(answer, 503, "overloaded")
        answer = await client.post("/api/v1/inpaint", json={"image": "A" * 2 * body})
        assert (answer.status_code, answer.json()["error"]) == (503, "OverloadedError")
        assert (await client.get("/healthz")).status_code == 200
        await end(held)
    assert service.gateway.bodies.held == 0


async def test_a_family_that_was_full_a_moment_ago_costs_no_decoding(service, photo, hole):
    family = service.families["Erase"]
    full = OverloadedError("The queue is full.", {"family": "Erase", "retry_after_s": 3.0})
    family.fail_with = [full]
    async with service.client() as client:
        for _ in range(3):
            answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
            problem(answer, 503, "overloaded")
            assert answer.headers["retry-after"] == "3"
        assert family.calls == 1
        assert "decode" not in answer.headers.get("server-timing", "")
        other = await client.post("/ocr", files={"image": form(photo, hole)["files"]["image"]})
        assert other.status_code == 200
        await asyncio.sleep(0.25)
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        assert answer.status_code == 200


async def test_an_edge_that_lags_behind_takes_in_no_more_work(service, photo, hole):
    service.gateway.configure(IngressConfig(pixel_threads=1, max_pixel_wait_s=0.05))
    async with service.client() as client:
        busy = [asyncio.create_task(service.gateway.off_loop(time.sleep, 0.4)) for _ in range(2)]
        await asyncio.sleep(0.1)
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        assert "lags behind" in problem(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.get("/healthz")).status_code == 200
        await asyncio.gather(*busy)
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        assert answer.status_code == 200


def test_memory_for_bodies_must_hold_one():
    with pytest.raises(ValueError, match="at least max_body_mb"):
        IngressConfig(max_body_mb=50, max_bodies_mb=49)
