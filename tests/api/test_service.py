import asyncio
import base64
import json

import httpx
import pytest

from inpaint.errors import DeadlineError
from inpaint.examples import EXAMPLE
from inpaint.protocols import Painted
from inpaint.settings import IngressConfig, IOPaintArgs
from serve_app.api import create_api
from serve_app.shared_state import SharedState
from tests.api.test_inpaint import form, problem
from tests.conftest import png
from tests.local_service import LocalService
from tests.special_models import shipped_without_weights


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path)


class Stuck:
    """A family that answers when it is told to, and notes who gave up."""

    def __init__(self):
        self.started, self.both_started = asyncio.Event(), asyncio.Event()
        self.cancelled = 0

    async def paint(self, model, image, mask, params, deadline) -> Painted:
        (self.both_started if self.started.is_set() else self.started).set()
        try:
            async with asyncio.timeout(deadline.left_s):
                await asyncio.Event().wait()
        except TimeoutError as error:
            raise deadline.error() from error
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError


@pytest.fixture
def stuck(service):
    family = Stuck()
    service.gateway._families = {"Erase": family}
    return family


async def test_models_tell_state_and_what_they_read(service, photo, hole):
    async with service.client() as client:
        models = (await client.get("/models")).json()
        cards = {card["name"]: card for card in models["models"]}
        assert models["default"] == "cv2"
        assert cards["lama"]["state"] == "missing"
        assert cards["cv2"]["state"] == "downloaded"
        assert cards["cv2"]["parameters"] == ["cv2_flag", "cv2_radius"]
        assert cards["lama"]["licence"]["name"] == "Apache-2.0"
        assert "dies-once" not in cards  # its family is not configured
        await client.post("/inpaint", **form(photo, hole, model="cv2"))
        await asyncio.sleep(0)
        service.gateway._shared.forget()
        card = (await client.get("/models/cv2")).json()
        assert (card["state"], card["replicas_holding"]) == ("loaded", 1)
        problem(await client.get("/models/nope"), 404, "unknown-model")
        problem(await client.get("/models/some/repo"), 404, "unknown-model")


async def test_models_answer_without_a_registry(service):
    async def gone():
        raise ConnectionError

    service.gateway._shared = SharedState(gone, service.registry.choose_default)
    async with service.client() as client:
        assert (await client.get("/models")).status_code == 200


async def test_health_and_readiness(service):
    async with service.client() as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).status_code == 200
        service.statuses, service.wanting = {"Erase": "UNHEALTHY"}, {"Erase": {}}
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["families"]) == (503, {"Erase": "unhealthy"})
        service.statuses = {}
        assert (await client.get("/readyz")).json()["families"] == {"Erase": "missing"}


async def test_deadline_is_504_and_frees_the_family(service, stuck, photo, hole):
    async with service.client(headers={"x-timeout-seconds": "0.05"}) as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    assert "0.05 s" in problem(answer, DeadlineError.status, "deadline")


@pytest.mark.parametrize("word", ["0", "-1", "nan", "inf", "soon", ""])
async def test_wrong_timeouts_are_refused(service, photo, hole, word):
    async with service.client(headers={"x-timeout-seconds": word}) as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    assert "X-Timeout-Seconds" in problem(answer, 422, "bad-params")


async def test_cancelling_by_id_ends_the_request_and_the_remote_call(service, stuck, photo, hole):
    async with service.client() as client:
        headers = {"x-request-id": "one"}
        running = asyncio.create_task(
            client.post("/inpaint", **form(photo, hole, model="cv2"), headers=headers)
        )
        await stuck.started.wait()
        assert (await client.delete("/requests/one")).json() == {
            "request_id": "one",
            "cancelled": True,
        }
        problem(await running, 409, "cancelled")
        assert stuck.cancelled == 1
        problem(await client.delete("/requests/one"), 404, "unknown-request")


async def test_a_client_that_hangs_up_frees_the_family(service, stuck, photo, hole):
    async with service.client() as client:
        running = asyncio.create_task(client.post("/inpaint", **form(photo, hole, model="cv2")))
        await stuck.started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert stuck.cancelled == 1


async def test_a_body_that_says_it_is_too_large_is_not_read(service):
    service.gateway.configure(IngressConfig(max_body_mb=1))
    received = []

    async def receive():
        received.append(1)
        return {"type": "http.request", "body": b"x" * 2**20, "more_body": True}

    for headers in ([(b"content-length", b"300000000")], []):
        sent = []
        received.clear()

        async def send(message, sent=sent):
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/inpaint", "raw_path": b"/inpaint",
            "query_string": b"", "headers": headers, "http_version": "1.1", "scheme": "http",
            "server": ("service", 80), "client": ("client", 1), "root_path": "",
        }  # fmt: skip
        await create_api(service.gateway)(scope, receive, send)
        assert sent[0]["status"] == 413
        assert len(received) == (0 if headers else 2)


async def test_request_ids_are_made_or_kept(service):
    async with service.client() as client:
        made = (await client.get("/healthz")).headers["x-request-id"]
        kept = await client.get("/healthz", headers={"x-request-id": "abc-1"})
        replaced = await client.get("/healthz", headers={"x-request-id": "<script>"})
    assert len(made) == 32
    assert kept.headers["x-request-id"] == "abc-1"
    assert replaced.headers["x-request-id"] not in ("<script>", made)


async def test_unknown_routes_and_methods_are_problems(service):
    async with service.client() as client:
        problem(await client.get("/nothing-here"), 404, "not-found")
        problem(await client.get("/inpaint"), 405, "method-not-allowed")


async def test_every_example_of_the_openapi_document_works(tmp_path, photo):
    (tmp_path / "input.png").write_bytes(png(photo))
    args = IOPaintArgs(input=tmp_path / "input.png", output_dir=tmp_path)
    service = LocalService(
        tmp_path,
        has_ocr=True,
        has_diffusion=True,
        iopaint=args,
        catalog=shipped_without_weights(
            "runwayml/stable-diffusion-inpainting",
            "SG161222/RealVisXL_V5.0",
            "Fantasy-Studio/Paint-by-Example",
        ),
    )
    async with service.client() as client:
        document = (await client.get("/openapi.json")).json()
        sent = []
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                url, query = path, {}
                for parameter in operation.get("parameters", []):
                    if parameter["in"] == "query":
                        query[parameter["name"]] = parameter["schema"]["examples"][0]
                    elif "example" in parameter:
                        url = url.replace("{" + parameter["name"] + "}", parameter["example"])
                for body in bodies_of(operation):
                    answer = await client.request(method, url, params=query, **body)
                    sent.append((method, path))
                    is_absent = method == "delete" or "/media" in path  # the input is no folder
                    expected = (404,) if is_absent else (200,)
                    assert answer.status_code in expected, (method, url, answer.text)
    assert len(sent) >= 20
    names = [call.model for call in service.painters.seen]
    assert len(names) == len(set(names)) == 3
    [shown] = [call.example for call in service.painters.seen if call.example is not None]
    assert shown.shape == (24, 32, 3)


def bodies_of(operation):
    """The arguments of a request for each example of an operation; one without any, if none."""
    content = operation.get("requestBody", {}).get("content", {})
    found = []
    for kind, entry in content.items():
        examples = [one["value"] for one in entry.get("examples", {}).values()]
        for example in [*examples, *([entry["example"]] if "example" in entry else [])]:
            if kind == "application/json":
                found.append({"json": example})
            else:
                found.append(form_of(entry["schema"]["properties"], example))
    return found or [{}]


def form_of(properties, example):
    """A form; its files are base64 in the document."""
    is_file = {name: properties[name].get("format") == "binary" for name in example}
    files = {
        name: ("a.png", base64.b64decode(value), "image/png")
        for name, value in example.items()
        if is_file[name]
    }
    return {"files": files, "data": {n: v for n, v in example.items() if not is_file[n]}}


async def test_openapi_describes_every_field_of_inpaint(service):
    async with service.client() as client:
        document = (await client.get("/openapi.json")).json()
    content = document["paths"]["/inpaint"]["post"]["requestBody"]["content"]
    for schema in (entry["schema"] for entry in content.values()):
        fields = schema["properties"]
        assert {"image", "mask", "model", "hd_strategy", "cv2_radius", "seed"} <= fields.keys()
        assert {EXAMPLE, "enable_controlnet", "brushnet_method", "fitting_degree"} <= fields.keys()
        assert schema["required"] == ["image", "mask"]
        assert all("description" in field for field in fields.values()), fields
    assert "$defs" not in json.dumps(document)


async def test_configure_changes_limits_at_once(service, photo, hole):
    service.gateway.configure(IngressConfig(max_megapixels=0.001))
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole))
    problem(answer, 413, "image-too-large")


async def test_two_requests_with_one_id_are_both_cancelled(service, stuck, photo, hole):
    async with service.client(headers={"x-request-id": "same"}) as client:
        body = {"files": {"image": png(photo), "mask": png(hole)}, "data": {"model": "cv2"}}
        first, second = (asyncio.create_task(client.post("/inpaint", **body)) for _ in range(2))
        await stuck.both_started.wait()
        await client.delete("/requests/same")
        answers: list[httpx.Response] = await asyncio.gather(first, second)
    assert [answer.status_code for answer in answers] == [409, 409]
