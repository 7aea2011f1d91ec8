"""The example picture over HTTP: as a file, as base64, missing, unasked for and wrong."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from inpaint.examples import EXAMPLE
from inpaint.settings import IngressConfig
from tests.api.test_inpaint import problem
from tests.conftest import png
from tests.local_service import LocalService
from tests.special_models import special_catalog


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True, has_diffusion=True,
                        catalog=special_catalog(tmp_path))  # fmt: skip


@pytest.fixture
def example(rng):
    return rng.integers(0, 256, (30, 50, 3), np.uint8)


def encoded(data):
    return base64.b64encode(data).decode()


async def post(service, photo, hole, example=None, route="/inpaint", **fields):
    """A form; `example` are the bytes of a file."""
    files = {"image": png(photo), "mask": png(hole)}
    if example is not None:
        files[EXAMPLE] = example
    data = {"model": "shower", "sd_steps": "2"} | fields
    async with service.client() as client:
        return await client.post(route, files=files, data=data)


async def post_json(service, photo, hole, route="/inpaint", **fields):
    pictures = {"image": encoded(png(photo)), "mask": encoded(png(hole))}
    body = pictures | {"model": "shower", "sd_steps": 2} | fields
    async with service.client() as client:
        return await client.post(route, json=body)


def shown(service):
    (call,) = service.painters.seen
    return call.example


async def test_a_part_of_a_form_reaches_the_family(service, photo, hole, example):
    answer = await post(service, photo, hole, png(example), seed="7")
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(shown(service), example)
    assert service.painters.seen[0].params.seed == 7
    assert service.painters.seen[0].image.shape == (120, 160, 3)


@pytest.mark.parametrize("route", ["/inpaint", "/api/v1/inpaint"])
@pytest.mark.parametrize("form", ["{}", "data:image/png;base64,{}"])
async def test_base64_and_data_urls_reach_the_family(service, photo, hole, example, route, form):
    text = form.format(encoded(png(example)))
    answer = await post_json(service, photo, hole, route, **{EXAMPLE: text})
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(shown(service), example)


async def test_it_is_turned_upright_and_loses_its_alpha(service, photo, hole, rng):
    rgba = rng.integers(0, 256, (9, 7, 4), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG", exif=exif)
    assert (await post(service, photo, hole, buffer.getvalue())).status_code == 200
    np.testing.assert_array_equal(shown(service), rgba[::-1, ::-1, :3])


async def test_a_large_one_travels_shrunk(service, photo, hole):
    assert (
        await post(service, photo, hole, png(np.zeros((1200, 1600, 3), np.uint8)))
    ).status_code == 200
    assert shown(service).shape == (768, 1024, 3)


@pytest.mark.parametrize("sent", [None, b""])
async def test_none_is_told_by_name(service, photo, hole, sent):
    said = problem(await post(service, photo, hole, sent), 422, "bad-params")
    assert "'shower'" in said
    assert f"'{EXAMPLE}'" in said
    assert not service.painters.seen


@pytest.mark.parametrize("fields", [{}, {EXAMPLE: None}, {EXAMPLE: ""}])
async def test_none_is_told_by_name_on_iopaints_api(service, photo, hole, fields):
    answer = await post_json(service, photo, hole, "/api/v1/inpaint", **fields)
    assert answer.status_code == 422
    assert EXAMPLE in answer.json()["errors"]
    assert not service.painters.seen


@pytest.mark.parametrize("model", ["plain", "painter", "cv2"])
async def test_a_model_that_does_not_read_it_refuses_it_by_name(
    service, photo, hole, example, model
):
    fields = {"model": model} if model == "cv2" else {"model": model, "sd_steps": "2"}
    async with service.client() as client:
        answer = await client.post(
            "/inpaint",
            files={"image": png(photo), "mask": png(hole), EXAMPLE: png(example)},
            data=fields,
        )
    assert f"'{EXAMPLE}'" in problem(answer, 422, "bad-params")
    assert not service.painters.seen


@pytest.mark.parametrize("sent", [b"", None])
async def test_a_forms_field_that_was_left_open_is_none(service, photo, hole, sent):
    answer = await post(service, photo, hole, sent, model="painter")
    assert answer.status_code == 200, answer.text
    assert shown(service) is None


@pytest.mark.parametrize("value", ["picture", "no base64!", "http://example.org/a.png", "", None])
async def test_iopaints_api_ignores_it_for_other_models(service, photo, hole, example, value):
    value = encoded(png(example)) if value == "picture" else value
    fields = {"model": "painter", EXAMPLE: value}
    answer = await post_json(service, photo, hole, "/api/v1/inpaint", **fields)
    assert answer.status_code == 200, answer.text
    assert shown(service) is None


@pytest.mark.parametrize("data", [b"no picture", png(np.zeros((9, 9, 3), np.uint8))[:50]])
@pytest.mark.parametrize("route", ["/inpaint", "/api/v1/inpaint"])
async def test_damage_is_told_by_name(service, photo, hole, data, route):
    answer = await post_json(service, photo, hole, route, **{EXAMPLE: encoded(data)})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{EXAMPLE}: ")


async def test_the_servers_limit_holds_for_it(service, photo, hole):
    service.gateway.configure(IngressConfig(max_megapixels=0.05))
    answer = await post(service, photo, hole, png(np.zeros((300, 300, 3), np.uint8)))
    assert problem(answer, 413, "image-too-large").startswith(f"{EXAMPLE}: ")


@pytest.mark.parametrize("value", ["no base64!", "http://example.org/a.png", 3])
async def test_what_is_no_base64_is_told_by_name(service, photo, hole, value):
    answer = await post_json(service, photo, hole, **{EXAMPLE: value})
    assert f"'{EXAMPLE}'" in problem(answer, 422, "bad-params")


@pytest.mark.parametrize("route", ["/ocr", "/remove-text"])
async def test_other_routes_take_none(service, photo, example, route):
    async with service.client() as client:
        answer = await client.post(route, files={"image": png(photo), EXAMPLE: png(example)})
    assert EXAMPLE in problem(answer, 422, "bad-params")


async def test_an_empty_mask_needs_no_run_but_a_readable_example(service, photo, hole, example):
    answer = await post(service, photo, 0 * hole, png(example))
    assert answer.status_code == 200, answer.text
    assert not service.painters.seen
    problem(await post(service, photo, 0 * hole, b"no picture"), 400, "image-decode")
