"""What HTTP callers see of families that the cluster cannot run, or not yet."""

import asyncio

import pytest

from inpaint.settings import IngressConfig
from tests.api.test_inpaint import form, problem
from tests.local_service import LocalService

GPU = {"CPU": 0.5, "GPU": 0.4}


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True)


@pytest.mark.parametrize(
    ("route", "wanting"), [("/inpaint", "Erase"), ("/ocr", "OCR"), ("/remove-text", "OCR")]
)
async def test_what_no_node_can_run_is_refused(service, photo, hole, route, wanting):
    service.wanting = {wanting: GPU}
    sent = form(photo, hole, model="cv2")
    if route != "/inpaint":
        sent = {"files": {"image": sent["files"]["image"]}}
    async with service.client() as client:
        answer = await client.post(route, **sent)
    detail = problem(answer, 503, "no-gpu")
    assert f"'{wanting}'" in detail
    assert "0.4 GPU" in detail
    assert "retry-after" not in answer.headers
    assert service.families["Erase"].calls == 0


async def test_other_families_work_on(service, photo, hole):
    service.wanting = {"OCR": GPU}
    async with service.client() as client:
        assert (await client.post("/inpaint", **form(photo, hole, model="cv2"))).status_code == 200


async def test_models_and_readiness_tell_of_it(service):
    service.wanting = {"OCR": GPU}
    async with service.client() as client:
        answer = await client.get("/readyz")
        cards = {card["family"]: card for card in (await client.get("/models")).json()["models"]}
        one = (await client.get(f"/models/{cards['OCR']['name']}")).json()
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert answer.json()["families"] == {"Erase": "running", "OCR": "no-gpu"}
    assert (cards["Erase"]["available"], cards["Erase"]["unavailable_because"]) == (True, None)
    assert not cards["OCR"]["available"]
    assert "0.4 GPU" in cards["OCR"]["unavailable_because"]
    assert one == cards["OCR"]


async def test_where_a_node_may_come_the_caller_is_asked_to_try_again(service, photo, hole):
    service.wanting, service.can_grow = {"Erase": GPU}, True
    service.gateway.configure(IngressConfig(cold_wait_s=0.05))
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        problem(answer, 503, "warming-up")
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/readyz")).status_code == 200
        assert service.families["Erase"].calls == 0

        service.gateway.configure(IngressConfig(cold_wait_s=60))
        waiting = asyncio.create_task(client.post("/inpaint", **form(photo, hole, model="cv2")))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        service.warm.set()
        assert (await waiting).status_code == 200


async def test_waiting_for_a_node_ends_with_the_time_budget(service, photo, hole):
    service.wanting, service.can_grow = {"Erase": GPU}, True
    async with service.client(headers={"x-timeout-seconds": "0.1"}) as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    problem(answer, 503, "warming-up")
