"""POST /inpaint answered as a stream of events."""

import asyncio
import base64
import logging

import numpy as np
import pytest

from inpaint.errors import ModelError, OverloadedError, ReplicaLostError
from serve_app import event_stream
from serve_app.api import create_api
from tests.conftest import pixels, png
from tests.events import events_of
from tests.local_service import LocalService

LIMIT_S = 5


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True, has_diffusion=True)


def request_of(image, mask, **fields):
    return {
        "files": {"image": png(image), "mask": png(mask)},
        "data": {"model": "painter", "sd_seed": "7", "sd_steps": "3", **fields},
        "headers": {"accept": "text/event-stream", "x-request-id": "mine"},
    }


async def post(service, image, mask, **fields):
    async with service.client() as client:
        return await client.post("/inpaint", **request_of(image, mask, **fields))


class Connection:
    """One request straight to the application: its answer is seen while it is being made."""

    def __init__(self, service, image, mask, **fields):
        request = service.client().build_request(
            "POST", "/inpaint", **request_of(image, mask, **fields)
        )
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/inpaint",
            "raw_path": b"/inpaint",
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": ("service", 80),
            "client": ("client", 1),
        }
        self._inbox = asyncio.Queue()
        self._inbox.put_nowait({"type": "http.request", "body": request.read()})
        self._outbox = asyncio.Queue()
        app = create_api(service.gateway, service.iopaint)
        self.task = asyncio.create_task(app(self._scope, self._inbox.get, self._outbox.put))

    async def next(self):
        """The status, then one list of events after the other."""
        message = await asyncio.wait_for(self._outbox.get(), LIMIT_S)
        if message["type"] == "http.response.start":
            return message["status"]
        return events_of(message["body"].decode())

    def hang_up(self):
        self._inbox.put_nowait({"type": "http.disconnect"})


async def test_a_stream_tells_of_every_step_and_ends_with_the_picture(service, photo, hole):
    answer = await post(service, photo, hole, sd_mask_blur=0)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert (answer.headers["x-model"], answer.headers["x-seed"]) == ("painter", "7")
    assert answer.headers["x-request-id"] == "mine"
    events = events_of(answer.text)
    assert [name for name, _ in events] == ["started", "step", "step", "step", "result"]
    assert events[0][1] == {"model": "painter", "seed": 7, "request_id": "mine"}
    steps = [data for name, data in events if name == "step"]
    assert [(data["step"], data["total"]) for data in steps] == [(1, 3), (2, 3), (3, 3)]
    assert sorted(data["elapsed_ms"] for data in steps) == [data["elapsed_ms"] for data in steps]
    assert set(steps[0]) == {"step", "total", "elapsed_ms"}
    result = events[-1][1]
    assert (result["seed"], result["model"], result["request_id"]) == (7, "painter", "mine")
    assert (result["width"], result["height"], result["format"]) == (160, 120, "png")
    assert "models" in result["timings_ms"]
    picture = pixels(base64.b64decode(result["image"]))
    assert (picture[hole > 0] == (7, 3, 200)).all()
    np.testing.assert_array_equal(picture[hole == 0], photo[hole == 0])


async def test_the_picture_is_the_one_that_is_answered_without_a_stream(service, photo, hole):
    (*_, (_, result)) = events_of((await post(service, photo, hole)).text)
    request = request_of(photo, hole) | {"headers": {}}
    async with service.client() as client:
        plain = await client.post("/inpaint", **request)
    assert base64.b64decode(result["image"]) == plain.content


async def test_previews_come_where_they_are_asked_for(service, photo, hole):
    events = events_of((await post(service, photo, hole, previews="true")).text)
    previews = [data["preview"] for name, data in events if name == "step"]
    size = service.painters.seen[0].mask.shape
    picture = pixels(base64.b64decode(previews[0]))
    assert picture.shape == (size[0] // 8, size[1] // 8, 3)
    assert np.abs(picture.astype(int) - (200, 100, 50)).max() <= 3
    assert base64.b64decode(previews[0])[:2] == b"\xff\xd8"


async def test_previews_are_for_streams_alone(service, photo, hole):
    request = request_of(photo, hole, previews="true") | {"headers": {}}
    async with service.client() as client:
        answer = await client.post("/inpaint", **request)
    assert answer.status_code == 422
    assert "'previews'" in answer.json()["detail"]
    answer = await post(service, photo, hole, previews="perhaps")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-params")


async def test_steps_arrive_while_the_run_is_under_way(service, photo, hole):
    service.painters.gate = asyncio.Event()
    connection = Connection(service, photo, hole)
    assert await connection.next() == 200
    assert (await connection.next())[0][0] == "started"
    assert (await connection.next())[0][1]["step"] == 1
    assert not connection.task.done()
    service.painters.gate.set()
    assert [(await connection.next())[0][0] for _ in range(3)] == ["step", "step", "result"]
    await connection.task


async def test_a_client_that_hangs_up_ends_the_run(service, photo, hole):
    service.painters.gate = asyncio.Event()
    connection = Connection(service, photo, hole)
    assert await connection.next() == 200
    connection.hang_up()
    await asyncio.wait_for(connection.task, LIMIT_S)
    for _ in range(3):  # the cancelled task takes notice
        await asyncio.sleep(0)
    assert service.painters.cancelled == 1


async def test_cancelling_by_id_is_told_in_the_stream(service, photo, hole):
    service.painters.gate = asyncio.Event()
    connection = Connection(service, photo, hole)
    assert await connection.next() == 200
    async with service.client() as client:
        assert (await client.delete("/requests/mine")).json()["cancelled"]
    events = [(await connection.next())[0] for _ in range(3)]
    assert [name for name, _ in events] == ["started", "step", "error"]
    assert (events[-1][1]["type"], events[-1][1]["status"]) == ("/problems/cancelled", 409)
    assert service.painters.cancelled == 1
    await connection.task


async def test_an_error_in_an_open_stream_is_an_event(service, photo, hole):
    service.painters.gate = asyncio.Event()
    connection = Connection(service, photo, hole)
    assert await connection.next() == 200
    service.painters.fail_with = [OverloadedError("full", {"retry_after_s": 2.5})]
    service.painters.gate.set()
    events = [(await connection.next())[0] for _ in range(4)]
    assert [name for name, _ in events] == ["started", "step", "step", "error"]
    assert events[-1][1] == {
        "type": "/problems/overloaded",
        "title": "overloaded",
        "status": 503,
        "detail": "full",
        "retry_after_s": 2.5,
    }
    await connection.task


async def test_a_defect_in_an_open_stream_is_told_without_its_text(service, photo, hole, caplog):
    service.painters.gate = asyncio.Event()
    connection = Connection(service, photo, hole)
    assert await connection.next() == 200
    service.painters.fail_with = [ValueError("secret of /srv")]
    service.painters.gate.set()
    with caplog.at_level(logging.ERROR, "ray.serve"):
        events = [(await connection.next())[0] for _ in range(4)]
        await connection.task
    assert (events[-1][0], events[-1][1]["type"]) == ("error", "/problems/internal")
    assert "secret" not in str(events)
    assert "mine" in events[-1][1]["detail"]
    assert "secret of /srv" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(OverloadedError("full"), 503, "overloaded"), (ModelError("no"), 500, "model-failed")],
)
async def test_what_fails_at_once_keeps_its_status(service, photo, hole, error, status, code):
    service.painters.fail_with = [error]
    answer = await post(service, photo, hole)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize(("fields", "status"), [({"model": "none"}, 404), ({"sd_steps": "0"}, 422)])
async def test_what_is_wrong_with_the_request_keeps_its_status(
    service, photo, hole, fields, status
):
    assert (await post(service, photo, hole, **fields)).status_code == status


async def test_a_picture_that_cannot_be_read_keeps_its_status(service, photo, hole):
    request = request_of(photo, hole)
    request["files"]["image"] = b"no picture"
    async with service.client() as client:
        assert (await client.post("/inpaint", **request)).status_code == 400


async def test_a_retry_is_told_and_steps_begin_again(service, photo, hole):
    service.painters.fail_with = [ReplicaLostError("gone")]
    events = events_of((await post(service, photo, hole)).text)
    names = [name for name, _ in events]
    assert names == ["started", "step", "restarted", "step", "step", "step", "result"]
    assert [data["step"] for name, data in events if name == "step"] == [1, 1, 2, 3]
    assert set(events[2][1]) == {"elapsed_ms"}


async def test_a_stream_opens_and_lives_while_nothing_happens(service, photo, hole, monkeypatch):
    monkeypatch.setattr(event_stream, "OPEN_AFTER_S", 0.05)
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.02)
    gate = asyncio.Event()
    paint_steps = service.painters.paint_steps

    async def late(*given):
        await gate.wait()
        return await paint_steps(*given)

    monkeypatch.setattr(service.painters, "paint_steps", late)
    connection = Connection(service, photo, hole)
    assert await connection.next() == 200
    events = [(await connection.next())[0] for _ in range(3)]
    assert [name for name, _ in events] == ["started", "", ""]
    gate.set()
    while (name := (await connection.next())[0][0]) != "result":
        assert name in ("", "step")
    await connection.task


async def test_erase_models_answer_with_a_stream_without_steps(service, photo, hole):
    request = request_of(photo, hole)
    request["data"] = {"model": "cv2"}
    async with service.client() as client:
        answer = await client.post("/inpaint", **request)
    assert [name for name, _ in events_of(answer.text)] == ["started", "result"]
    assert answer.headers["x-model"] == "cv2"


async def test_an_empty_mask_answers_with_a_stream_too(service, photo, hole):
    events = events_of((await post(service, photo, np.zeros_like(hole))).text)
    assert [name for name, _ in events] == ["started", "result"]
    assert events[-1][1]["tiles"] == 0


async def test_the_example_of_the_openapi_document_is_a_stream_of_such_events(service, photo, hole):
    async with service.client() as client:
        document = (await client.get("/openapi.json")).json()
    route = document["paths"]["/inpaint"]["post"]
    example = events_of(route["responses"]["200"]["content"]["text/event-stream"]["example"])
    real = events_of((await post(service, photo, hole, sd_steps=2)).text)
    assert [name for name, _ in example] == [name for name, _ in real]
    assert [data.keys() for _, data in example[:-1]] == [data.keys() for _, data in real[:-1]]
    assert set(example[-1][1]) == set(real[-1][1])
    form = route["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["previews"]["type"] == "boolean"


async def test_other_routes_answer_no_stream(service, photo):
    async with service.client() as client:
        answer = await client.post(
            "/remove-text",
            files={"image": png(photo)},
            headers={"accept": "text/event-stream"},
        )
    assert answer.status_code == 406
    assert "event-stream" not in answer.json()["detail"]
