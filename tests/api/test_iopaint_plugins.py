"""The text plugin of IOPaint's page, over HTTP."""

import base64

import numpy as np
import pytest

from serve_app.iopaint.plugins import PAGE_NAME, TEXT
from tests.conftest import pixels, png
from tests.iopaint_requests import encoded, findings, raised
from tests.local_service import LocalService
from tests.unit.test_text_rules import line

API = "/api/v1"
NAMES_OF_THE_PAGE = (
    "RemoveBG",
    "AnimeSeg",
    "RealESRGAN",
    "GFPGAN",
    "RestoreFormer",
    "InteractiveSeg",
)
"""The menu of IOPaint 1.6's page; it fails to draw where server-config has another name."""


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True)


@pytest.fixture
def page(rng):
    """(120, 160, 3) uint8 RGB: a busy picture with a dark bar where the text is."""
    image = rng.integers(80, 256, (120, 160, 3), np.uint8)
    image[20:36, 10:90] = 0
    return image


async def run(service, what, page, name=PAGE_NAME, **fields):
    body = {"name": name, "image": f"data:image/png;base64,{encoded(png(page))}", **fields}
    async with service.client() as client:
        return await client.post(f"{API}/run_plugin_gen_{what}", json=body)


@pytest.mark.parametrize("has_ocr", [True, False])
async def test_the_page_is_told_of_the_plugin_where_text_is_read(tmp_path, has_ocr):
    async with LocalService(tmp_path, has_ocr=has_ocr).client() as client:
        plugins = (await client.get(f"{API}/server-config")).json()["plugins"]
    told = {"name": PAGE_NAME, "support_gen_image": True, "support_gen_mask": True}
    assert plugins == ([told] if has_ocr else [])
    assert PAGE_NAME in NAMES_OF_THE_PAGE


@pytest.mark.parametrize("name", [TEXT, PAGE_NAME])
async def test_the_mask_is_that_of_remove_text(service, page, name):
    service.reader.answers = [[line()], [line()]]
    answer = await run(service, "mask", page, name, clicks=[[1, 2, 0]], scale="2")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    async with service.client(headers={"accept": "application/json"}) as client:
        native = await client.post(
            "/remove-text", files={"image": png(page)}, data={"dry_run": "true"}
        )
    mask = pixels(base64.b64decode(native.json()["mask"]))
    brush = np.array([255, 203, 0, 186], np.uint8)
    np.testing.assert_array_equal(
        pixels(answer.content), np.where(mask[..., None] > 0, brush, np.uint8(0))
    )
    assert mask.any()
    assert not mask.all()
    assert service.families["Erase"].calls == 0


async def test_the_mask_erases_the_text(service, page):
    service.reader.answers = [[line()]]
    mask = (await run(service, "mask", page)).content
    body = {"image": encoded(png(page)), "mask": encoded(mask)}
    async with service.client() as client:
        answer = await client.post(f"{API}/inpaint", json=body)
    result, hole = pixels(answer.content), pixels(mask)[..., 3] > 0
    np.testing.assert_array_equal(result[~hole], page[~hole])
    assert result[20:36, 10:90].min() > 0


async def test_a_picture_without_text_has_an_empty_mask(service, page):
    answer = await run(service, "mask", page)
    np.testing.assert_array_equal(pixels(answer.content), np.zeros((120, 160, 4), np.uint8))


async def test_the_picture_comes_back_without_its_text(service, page):
    service.reader.answers = [[line()]]
    answer = await run(service, "image", page)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert (answer.headers["x-model"], answer.headers["x-text-removed"]) == ("cv2", "1")
    result = pixels(answer.content)
    assert result[20:36, 10:90].min() > 0
    changed = (result != page).any(axis=2)
    assert not changed[60:].any()


async def test_a_default_model_with_a_prompt_does_not_stand_in_the_way(tmp_path, page):
    service = LocalService(tmp_path, has_ocr=True, has_diffusion=True)
    async with service.client() as client:
        assert (await client.post(f"{API}/model", json={"name": "painter"})).status_code == 200
    service.reader.answers = [[line()]] * 2
    assert pixels((await run(service, "mask", page)).content).any()
    answer = await run(service, "image", page)
    assert (answer.status_code, answer.headers["x-model"]) == (200, "cv2")


async def test_missing_weights_do_not_stand_in_the_way_of_a_mask(service, page):
    async with service.client() as client:
        assert (await client.post(f"{API}/model", json={"name": "lama"})).status_code == 200
    service.reader.answers = [[line()]]
    assert pixels((await run(service, "mask", page)).content).any()
    raised(await run(service, "image", page), 503, "WeightsMissingError")


@pytest.mark.parametrize("what", ["mask", "image"])
async def test_plugins_that_are_not_here_are_refused(service, page, what):
    for name in ("RemoveBG", "", "removetext", "x" * 10_000):
        detail = raised(await run(service, what, page, name), 422, "ParamsError")
        assert "Plugin not found" in detail
        assert TEXT in detail
        assert len(detail) < 500
    assert not service.reader.seen


@pytest.mark.parametrize("what", ["mask", "image"])
async def test_without_ocr_the_flag_is_named(tmp_path, page, what):
    answer = await run(LocalService(tmp_path), what, page)
    assert "--enable-ocr" in raised(answer, 503, "FamilyMissingError")


@pytest.mark.parametrize("what", ["mask", "image"])
async def test_wrong_requests_are_refused(service, what):
    path = f"{API}/run_plugin_gen_{what}"
    async with service.client() as client:
        assert findings(await client.post(path, json={"name": TEXT})) == [
            ("missing", ("body", "image"))
        ]
        body = {"name": TEXT, "image": "", "clicks": [["a"]], "scale": "wide"}
        assert findings(await client.post(path, json=body)) == [
            ("int_parsing", ("body", "clicks", 0, 0)),
            ("float_parsing", ("body", "scale")),
        ]
        body = {"name": TEXT, "image": encoded(b"no picture")}
        raised(await client.post(path, json=body), 400, "ImageDecodeError")
        raised(await client.post(path, json=body | {"image": "%%%"}), 422, "ParamsError")
        raised(await client.post(path, json=body | {"image": ""}), 422, "ParamsError")


@pytest.mark.parametrize("plugin", [TEXT, PAGE_NAME])
async def test_the_plugin_has_one_model(service, plugin):
    async with service.client() as client:
        for model, status in (("pp-ocrv6-small", 200), ("vit_b", 422), ("cv2", 422)):
            body = {"plugin_name": plugin, "model_name": model}
            answer = await client.post(f"{API}/switch_plugin_model", json=body)
            assert answer.status_code == status
        assert "pp-ocrv6-small" in raised(answer, 422, "ParamsError")


async def test_models_of_plugins_that_are_not_here_are_refused(service):
    body = {"plugin_name": "RealESRGAN", "model_name": "realesr-general-x4v3"}
    async with service.client() as client:
        answer = await client.post(f"{API}/switch_plugin_model", json=body)
    assert "Plugin not found" in raised(answer, 422, "ParamsError")
