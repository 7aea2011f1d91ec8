"""POST /api/v1/inpaint over HTTP."""

import base64
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from inpaint.errors import ModelError, OverloadedError
from inpaint.settings import IngressConfig, IOPaintArgs
from tests.api.test_inpaint import problem
from tests.conftest import pixels, png
from tests.iopaint_requests import encoded, findings, inpaint_body, raised
from tests.local_service import LocalService

INPAINT = "/api/v1/inpaint"


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path)


def saved(photo, format, **options):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, format, **options)
    return file.getvalue()


async def test_the_hole_is_filled_with_iopaints_defaults(service, photo, hole):
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert (answer.headers["x-seed"], answer.headers["x-model"]) == ("42", "cv2")
    filled = cv2.inpaint(photo[..., ::-1].copy(), hole, 4, cv2.INPAINT_NS)[..., ::-1]
    expected = np.where(hole[..., None] > 0, filled, photo)
    np.testing.assert_array_equal(pixels(answer.content), expected)


@pytest.mark.parametrize(
    ("prefix", "fields"),
    [
        ("", {"cv2_radius": "7", "cv2_flag": "INPAINT_TELEA"}),
        ("data:image/png;base64,", {"cv2_radius": 7.0, "cv2_flag": "INPAINT_TELEA", "new": [1]}),
        ("data:application/octet-stream;base64,", {"cv2_radius": 7, "cv2_flag": "INPAINT_TELEA"}),
    ],
)
async def test_every_way_to_say_the_same_is_understood(service, photo, hole, prefix, fields):
    body = inpaint_body(photo, hole, **fields)
    body |= {name: prefix + body[name] for name in ("image", "mask")}
    async with service.client() as client:
        answer = await client.post(INPAINT, json=body)
    filled = cv2.inpaint(photo[..., ::-1].copy(), hole, 7, cv2.INPAINT_TELEA)[..., ::-1]
    expected = np.where(hole[..., None] > 0, filled, photo)
    np.testing.assert_array_equal(pixels(answer.content), expected)


async def test_a_body_without_content_type_is_json(service, photo, hole):
    async with service.client() as client:
        answer = await client.post(INPAINT, content=json.dumps(inpaint_body(photo, hole)))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("sent", "told"), [(7, "7"), ("7", "7"), (0, "0"), (-5, "-5"), (10**30, "1" + 30 * "0")]
)
async def test_x_seed_is_the_seed_that_was_sent(service, photo, hole, sent, told):
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole, sd_seed=sent))
    assert answer.headers["x-seed"] == told


async def test_seed_minus_one_draws_one(service, photo, hole):
    body = inpaint_body(photo, hole, sd_seed=-1)
    async with service.client() as client:
        drawn = {int((await client.post(INPAINT, json=body)).headers["x-seed"]) for _ in range(5)}
    assert len(drawn) > 1
    assert all(1 <= seed <= 99_999_999 for seed in drawn)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "bmp", "tiff", "gif"])
async def test_the_answer_has_the_format_that_came_in(service, photo, hole, format):
    body = inpaint_body(photo, hole, image=encoded(saved(photo, format)))
    async with service.client() as client:
        answer = await client.post(INPAINT, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{format}")
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format.lower(), picture.size) == (format, (160, 120))


async def test_quality_is_the_servers(tmp_path, photo, hole):
    sizes = {}
    body = inpaint_body(photo, hole, image=encoded(saved(photo, "webp", quality=95)), quality=1)
    for quality in (10, 100):
        service = LocalService(tmp_path, iopaint=IOPaintArgs(quality=quality))
        async with service.client() as client:
            sizes[quality] = len((await client.post(INPAINT, json=body)).content)
    assert sizes[100] > 2 * sizes[10]


async def test_alpha_of_grey_pictures_is_kept(service, photo, hole):
    grey, alpha = photo[..., 0], photo[..., 1]
    file = io.BytesIO()
    Image.fromarray(np.stack([grey, alpha], axis=-1), "LA").save(file, "png")
    body = inpaint_body(photo, hole, image=encoded(file.getvalue()))
    async with service.client() as client:
        answer = await client.post(INPAINT, json=body)
    result = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))
    np.testing.assert_array_equal(result[..., 3], alpha)
    np.testing.assert_array_equal(result[..., 0][hole == 0], grey[hole == 0])


async def test_a_body_may_name_its_model(service, photo, hole):
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole, model="mean-fill"))
        assert answer.headers["x-model"] == "mean-fill"
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole, model="nope"))
        assert "'nope'" in raised(answer, 404, "UnknownModelError")


@pytest.mark.parametrize(
    ("change", "status", "name", "words"),
    [
        ({"image": None}, 422, "ParamsError", "'image' is missing"),
        ({"mask": None}, 422, "ParamsError", "'mask' is missing"),
        ({"image": ""}, 422, "ParamsError", "'image' is missing"),
        ({"image": "%%%"}, 422, "ParamsError", "'image' is not valid base64"),
        ({"mask": "http://127.0.0.1/x"}, 422, "ParamsError", "no link is fetched"),
        ({"image": encoded(b"no picture")}, 400, "ImageDecodeError", "no picture"),
        ({"mask": encoded(b"no picture")}, 400, "ImageDecodeError", "no picture"),
        ({"hd_strategy_crop_margin": -200}, 422, "ParamsError", "hd_strategy_crop_margin"),
        (
            {"hd_strategy": "Resize", "hd_strategy_resize_limit": 0},
            422,
            "ParamsError",
            "hd_strategy_resize_limit",
        ),
    ],
)
async def test_what_iopaint_answers_with_500_is_told_by_name(
    service, photo, hole, change, status, name, words
):
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole, **change))
    assert words in raised(answer, status, name)


async def test_a_truncated_picture_is_refused(service, photo, hole):
    body = inpaint_body(photo, hole, image=encoded(png(photo)[:-2000]))
    async with service.client() as client:
        raised(await client.post(INPAINT, json=body), 400, "ImageDecodeError")


async def test_a_mask_of_another_size_is_400(service, photo, hole):
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole[:100]))
    assert "160x100 px, the image 160x120 px" in raised(answer, 400, "MaskError")


async def test_limits_are_413(service, photo, hole):
    service.gateway.configure(IngressConfig(max_megapixels=0.001))
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole))
        raised(answer, 413, "ImageTooLargeError")
        service.gateway.configure(IngressConfig(max_body_mb=1))
        for path in ("inpaint", "model", "adjust_mask", "gen-info", "save_image"):
            answer = await client.post(f"/api/v1/{path}", content=bytes(2**20 + 1))
            raised(answer, 413, "BodyTooLargeError")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"image": 3}, [("string_type", ("body", "image"))]),
        ({"ldm_steps": "x"}, [("int_parsing", ("body", "ldm_steps"))]),
        ({"cv2_radius": 5.5}, [("int_from_float", ("body", "cv2_radius"))]),
        ({"prompt": None}, [("string_type", ("body", "prompt"))]),
        (
            {"sd_scale": 0, "sd_strength": 1.1},
            [
                ("greater_than", ("body", "sd_scale")),
                ("less_than_equal", ("body", "sd_strength")),
            ],
        ),
    ],
)
async def test_a_field_of_a_wrong_type_is_fastapis_422(service, photo, hole, change, expected):
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole, **change))
    assert findings(answer) == expected
    assert encoded(png(photo))[:100] not in answer.text


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"content": b""}, ("missing", ("body",))),
        ({"content": b"{bad"}, ("json_invalid", ("body",))),
        ({"json": [1]}, ("model_attributes_type", ("body",))),
        ({"data": {"image": "x"}}, ("model_attributes_type", ("body",))),
    ],
)
async def test_a_body_that_is_no_json_object_is_fastapis_422(service, sent, expected):
    async with service.client() as client:
        assert findings(await client.post(INPAINT, **sent)) == [expected]


async def test_unknown_routes_and_methods_are_fastapis(service):
    async with service.client() as client:
        answers = [
            await client.get("/api/v1/nope"),
            await client.post("/api/v1/samplers"),
            await client.get("/api/v12"),
        ]
    assert [(answer.status_code, answer.json()) for answer in answers[:2]] == [
        (404, {"detail": "Not Found"}),
        (405, {"detail": "Method Not Allowed"}),
    ]
    assert answers[1].headers["allow"] == "GET"
    problem(answers[2], 404, "not-found")


async def test_errors_of_replicas_keep_each_apis_shape(service, photo, hole):
    family = service.families["Erase"]
    body = inpaint_body(photo, hole, model="cv2")
    async with service.client() as client:
        for name, error in (
            ("OverloadedError", OverloadedError("full", {"retry_after_s": 1.5})),
            ("ModelError", ModelError("It failed.")),
        ):
            family.fail_with = [error]
            answer = await client.post(INPAINT, json=body)
            assert raised(answer, error.status, name) == error.detail
            family.fail_with = [error]
            native = await client.post("/inpaint", json=body)
            assert problem(native, error.status, error.code) == error.detail
            assert native.headers.get("retry-after") == answer.headers.get("retry-after")
    assert OverloadedError("full", {"retry_after_s": 1.5}).retry_after_s == 1.5


async def test_a_busy_server_says_when_to_come_again(service, photo, hole):
    service.families["Erase"].fail_with = [OverloadedError("full", {"retry_after_s": 1.5})]
    async with service.client() as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_a_defect_names_the_request_and_nothing_else(service, photo, hole):
    service.families["Erase"].fail_with = [RuntimeError("secret of /srv/private")]
    async with service.client(headers={"x-request-id": "the-id"}) as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole))
    detail = raised(answer, 500, "InpaintError")
    assert "the-id" in detail
    assert "secret" not in answer.text


async def test_the_time_budget_holds(service, photo, hole):
    async with service.client(headers={"x-timeout-seconds": "nan"}) as client:
        answer = await client.post(INPAINT, json=inpaint_body(photo, hole))
    assert "X-Timeout-Seconds" in raised(answer, 422, "ParamsError")


async def test_an_empty_mask_answers_the_very_file(service, photo):
    body = inpaint_body(photo, np.zeros((120, 160), np.uint8))
    async with service.client() as client:
        answer = await client.post(INPAINT, json=body)
    assert answer.content == base64.b64decode(body["image"])
