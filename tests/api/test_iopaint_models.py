"""The default model and what IOPaint's page is told of the server."""

import asyncio

import pytest

from inpaint.errors import UnavailableError
from inpaint.settings import IOPaintArgs
from serve_app.shared_state import SharedState
from tests.api.test_inpaint import form
from tests.iopaint_requests import findings, inpaint_body, raised
from tests.local_service import LocalService

MODEL = "/api/v1/model"


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path)


async def answering(client, photo, hole):
    """The models that answer requests without one, by route."""
    sent = {
        "/inpaint": form(photo, hole),
        "/remove-text": {"files": {"image": form(photo, hole)["files"]["image"]}},
        "/api/v1/inpaint": {"json": inpaint_body(photo, hole)},
    }
    answers = {path: await client.post(path, **request) for path, request in sent.items()}
    told = {path: answer.headers["x-model"] for path, answer in answers.items()}
    told["/models"] = (await client.get("/models")).json()["default"]
    told[MODEL] = (await client.get(MODEL)).json()["name"]
    return told


async def test_model_info_has_iopaints_fields(service):
    async with service.client() as client:
        assert (await client.get(MODEL)).json() == {
            "name": "cv2",
            "path": "cv2",
            "model_type": "inpaint",
            "is_single_file_diffusers": False,
            "need_prompt": False,
            "controlnets": [],
            "brushnets": [],
            "support_strength": False,
            "support_outpainting": False,
            "support_lcm_lora": False,
            "support_controlnet": False,
            "support_brushnet": False,
            "support_powerpaint_v2": False,
        }


async def test_server_config_tells_what_is_served(tmp_path):
    service = LocalService(tmp_path, has_ocr=True)
    async with service.client() as client:
        told = (await client.get("/api/v1/server-config")).json()
        samplers = (await client.get("/api/v1/samplers")).json()
    infos = {info["name"]: info for info in told.pop("modelInfos")}
    assert {"cv2", "lama", "mean-fill"} <= infos.keys()
    assert infos.keys().isdisjoint({"pp-ocrv6-small", "dies-once"})  # reads text; not served
    assert all(info["model_type"] == "inpaint" for info in infos.values())
    assert told.pop("samplers") == samplers
    assert (len(samplers), samplers[0], samplers[-2:]) == (19, "DPM++ 2M", ["UniPC", "LCM"])
    assert (len(told.pop("removeBGModels")), len(told.pop("interactiveSegModels"))) == (15, 15)
    assert told == {
        "plugins": [{"name": "AnimeSeg", "support_gen_image": True, "support_gen_mask": True}],
        "removeBGModel": "briaai/RMBG-1.4",
        "realesrganModel": "realesr-general-x4v3",
        "realesrganModels": [
            "realesr-general-x4v3",
            "RealESRGAN_x4plus",
            "RealESRGAN_x4plus_anime_6B",
        ],
        "interactiveSegModel": "sam2_1_tiny",
        "enableFileManager": False,
        "enableAutoSaving": False,
        "enableControlnet": False,
        "controlnetMethod": None,
        "disableModelSwitch": False,
        "isDesktop": False,
    }


async def test_server_config_tells_of_folders(tmp_path):
    for args, expected in (
        (IOPaintArgs(input=tmp_path, output_dir=tmp_path), (True, True)),
        (IOPaintArgs(input=tmp_path / "a.png"), (False, False)),
    ):
        async with LocalService(tmp_path, iopaint=args).client() as client:
            told = (await client.get("/api/v1/server-config")).json()
        assert (told["enableFileManager"], told["enableAutoSaving"]) == expected


async def test_a_switch_holds_for_every_route_without_a_model(tmp_path, photo, hole):
    service = LocalService(tmp_path, has_ocr=True)
    async with service.client() as client:
        assert set((await answering(client, photo, hole)).values()) == {"cv2"}
        answer = await client.post(MODEL, json={"name": "mean-fill"})
        assert (answer.status_code, answer.json()["name"]) == (200, "mean-fill")
        assert set((await answering(client, photo, hole)).values()) == {"mean-fill"}
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        assert answer.headers["x-model"] == "cv2"


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("nope", 404, "UnknownModelError"),
        ("", 404, "UnknownModelError"),
        ("dies-once", 503, "FamilyMissingError"),
        ("pp-ocrv6-small", 422, "ParamsError"),
    ],
)
async def test_a_refused_switch_changes_nothing(tmp_path, photo, hole, name, status, error):
    service = LocalService(tmp_path, has_ocr=True)
    async with service.client() as client:
        await client.post(MODEL, json={"name": "mean-fill"})
        raised(await client.post(MODEL, json={"name": name}), status, error)
        assert set((await answering(client, photo, hole)).values()) == {"mean-fill"}


async def test_a_switch_without_a_name_is_fastapis_422(service):
    async with service.client() as client:
        answer = await client.post(MODEL, json={})
        assert findings(answer) == [("missing", ("body", "name"))]
        answer = await client.post(MODEL, json={"name": 3})
        assert findings(answer) == [("string_type", ("body", "name"))]


async def test_another_ingress_replica_follows(service):
    other = service.another_gateway()
    async with service.client() as here, service.client(other) as there:
        assert (await there.get(MODEL)).json()["name"] == "cv2"
        await here.post(MODEL, json={"name": "mean-fill"})
        other._shared.forget()  # a second has passed
        assert (await there.get(MODEL)).json()["name"] == "mean-fill"


async def test_of_two_switches_at_once_one_holds_everywhere(service, photo, hole):
    other = service.another_gateway()
    async with service.client() as here, service.client(other) as there:
        for _ in range(10):
            await asyncio.gather(
                here.post(MODEL, json={"name": "mean-fill"}),
                there.post(MODEL, json={"name": "noise"}),
            )
            last = (await service.registry.state()).default_model
            told = {(await client.get(MODEL)).json()["name"] for client in (here, there)}
            assert told == {last}
            answer = await here.post("/api/v1/inpaint", json=inpaint_body(photo, hole))
            assert answer.headers["x-model"] == last


async def test_without_a_registry_the_configs_default_answers(service, photo, hole):
    async def gone(*_):
        raise ConnectionError("10.0.0.7")

    service.gateway._shared = SharedState(gone, gone)
    async with service.client() as client:
        answer = await client.post("/api/v1/inpaint", json=inpaint_body(photo, hole))
        assert (answer.status_code, answer.headers["x-model"]) == (200, "cv2")
        answer = await client.post(MODEL, json={"name": "mean-fill"})
        assert "10.0.0.7" not in raised(answer, 503, UnavailableError.__name__)
        assert answer.headers["retry-after"] == "5"
        assert (await client.get(MODEL)).json()["name"] == "cv2"


async def test_a_chosen_model_that_is_not_served_here_gives_way_to_the_configs(service):
    await service.registry.choose_default("of-a-newer-config")
    async with service.client() as client:
        assert (await client.get(MODEL)).json()["name"] == "cv2"
