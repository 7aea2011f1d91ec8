"""Models whose weights are missing, over HTTP: fetched in the background, or refused."""

import asyncio
import time

import pytest

from tests.api.test_inpaint import form, problem
from tests.local_service import LocalService
from tests.weights_server import Fault, weights_server

CONTENT = b"numbers, and nothing else" * 1000
FILE = "/stored-fill.bin"
LIMIT_S = 10


@pytest.fixture
def weights(monkeypatch):
    with weights_server() as server:
        monkeypatch.setenv("STORED_FILL_MODEL_URL", server.put(FILE, CONTENT))
        yield server


@pytest.fixture
def service(tmp_path, weights):
    return LocalService(tmp_path, may_fetch=True)


async def card_of(client, name="stored-fill"):
    answer = await client.get(f"/models/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until_state(client, state):
    end = time.monotonic() + LIMIT_S
    while (card := await card_of(client))["state"] != state:
        assert time.monotonic() < end, card
        await asyncio.sleep(0.02)
    return card


async def test_missing_model_is_fetched_and_then_answers(service, weights, photo, hole):
    weights.gate.clear()
    async with service.client() as client:
        assert (await card_of(client))["state"] == "missing"
        answer = await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        assert "being fetched" in problem(answer, 503, "weights-downloading")
        assert int(answer.headers["Retry-After"]) > 0
        await until_state(client, "downloading")
        weights.gate.set()
        await until_state(client, "downloaded")
        answer = await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Model"] == "stored-fill"
        assert (await card_of(client))["progress"] is None


async def test_progress_of_a_download_is_shown(service, weights, photo, hole):
    weights.fail(FILE, Fault(stall_after=len(CONTENT) // 4))
    async with service.client() as client:
        await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        end = time.monotonic() + LIMIT_S
        while not (card := await card_of(client))["progress"]:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        assert card["progress"] == pytest.approx(0.25)
        answer = await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        assert "of 0.0 MB)" in problem(answer, 503, "weights-downloading")


async def test_other_ingress_replicas_show_the_same(service, weights, photo, hole):
    weights.gate.clear()
    async with (
        service.client() as client,
        service.client(service.another_gateway()) as other,
    ):
        await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        card = await until_state(other, "downloading")
        assert card["replicas_holding"] == 0
        weights.gate.set()
        await until_state(client, "downloaded")


async def test_other_models_go_on_serving_while_one_is_fetched(service, weights, photo, hole):
    weights.gate.clear()
    async with service.client() as client:
        await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        answer = await client.post("/inpaint", **form(photo, hole, model="mean-fill"))
        assert answer.status_code == 200


async def test_no_family_is_called_for_missing_weights(service, weights, photo, hole):
    async with service.client() as client:
        await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        assert service.families["Erase"].calls == 0


async def test_failed_fetch_is_told_with_the_command(service, weights, photo, hole):
    weights.fail(FILE, *[Fault(status=404)] * 3)
    async with service.client() as client:
        await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        await until_state(client, "missing")
        answer = await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        detail = problem(answer, 503, "weights-missing")
        assert "404" in detail
        assert "python main.py download --model=stored-fill" in detail
        assert "127.0.0.1" not in detail
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert len(weights.asked) == 1


async def test_server_that_may_not_fetch_asks_nobody(tmp_path, weights, photo, hole):
    service = LocalService(tmp_path)
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        detail = problem(answer, 503, "weights-missing")
        assert "python main.py download --model=stored-fill" in detail
        assert "Retry-After" not in answer.headers
        assert (await card_of(client))["state"] == "missing"
    assert weights.asked == []


async def test_choosing_the_default_model_fetches_nothing(service, weights, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole))
        assert answer.headers["X-Model"] == "cv2"
        await client.get("/models")
    assert service.gateway._desk.downloads == ()
    assert weights.asked == []


async def test_model_that_a_replica_holds_needs_no_file_here(service, weights, photo, hole):
    store = service._store
    store.checkpoints.mkdir(parents=True)
    path = store.checkpoints / "stored-fill.bin"
    path.write_bytes(CONTENT)
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        assert answer.status_code == 200, answer.text
        path.unlink()
        await until_state(client, "loaded")
        answer = await client.post("/inpaint", **form(photo, hole, model="stored-fill"))
        assert answer.status_code == 200, answer.text
    assert weights.asked == []


async def test_remove_text_asks_for_the_weights_of_its_eraser(tmp_path, weights, photo):
    service = LocalService(tmp_path, has_ocr=True, may_fetch=True)
    async with service.client() as client:
        files = form(photo, photo)["files"]
        answer = await client.post(
            "/remove-text", files={"image": files["image"]}, data={"model": "stored-fill"}
        )
        problem(answer, 503, "weights-downloading")
    assert service.reader.seen == []
