"""/v1 without a client: bodies, refused fields, errors, what is noted."""

import asyncio
import base64
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from inpaint.errors import ModelError, OverloadedError, RequestCancelledError
from inpaint.settings import IngressConfig
from tests.api.test_accounts import settled  # noqa: F401  a fixture
from tests.conftest import pixels, png
from tests.events import events_of
from tests.local_service import LocalService
from tests.openai_requests import data_url, picture, see_through, transparent, until

EDITS = "/v1/images/edits"


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True, has_diffusion=True)


def form(photo, hole, **fields):
    files = {"image": png(photo), "mask": png(transparent(hole))}
    return {"files": files, "data": {"model": "cv2", "prompt": "a wall", **fields}}


async def post(service, **request):
    async with service.client() as client:
        return await client.post(EDITS, **request)


def raised(answer, status, kind="invalid_request_error"):
    """Assert that `answer` has OpenAI's error shape, and give the error."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.json().keys() == {"error"}
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == kind
    return error


def result_of(answer):
    assert answer.status_code == 200, answer.text[:300]
    [one] = answer.json()["data"]
    return picture(one["b64_json"])


@pytest.mark.parametrize(
    "pictures",
    [
        lambda image, mask: {"images": [{"image_url": image}], "mask": {"image_url": mask}},
        lambda image, mask: {"image": image, "mask": mask},
        lambda image, mask: {"image": image.split(",")[1], "mask": {"image_url": mask}},
    ],
)
async def test_json_means_the_same_as_a_form(service, photo, hole, pictures):
    body = {**pictures(data_url(photo), data_url(transparent(hole))), "model": "cv2", "n": None}
    from_json = result_of(await post(service, json=body))
    from_form = result_of(await post(service, **form(photo, hole)))
    np.testing.assert_array_equal(from_json, from_form)


@pytest.mark.parametrize(
    ("changed", "param", "message"),
    [
        ({"images": [{"file_id": "file-1"}]}, "image", "no files are stored here"),
        ({"images": [{"image_url": "https://a.example/b.png"}]}, "image", "no link is fetched"),
        ({"images": [{"image_url": "data:,"}, {"image_url": "data:,"}]}, "image", "one picture"),
        ({"images": []}, "image", "missing"),
        ({"images": "data:,"}, "images", "a list of one picture"),
        ({"mask": {"image_url": 3}}, "mask", "must be a string"),
    ],
)
async def test_other_pictures_in_json_are_refused(service, photo, hole, changed, param, message):
    body = {"images": [{"image_url": data_url(photo)}], "mask": data_url(transparent(hole))}
    error = raised(await post(service, json=body | changed), 400)
    assert error["param"] == param
    assert message in error["message"]


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"response_format": "url"}, "response_format", "nothing is stored here"),
        ({"background": "transparent"}, "background", "keep the transparency"),
        ({"size": "1024x1024"}, "size", "here 160x120"),
        ({"size": "large"}, "size", "pattern"),
        ({"n": "11"}, "n", "less than or equal to 10"),
        ({"n": "0"}, "n", "greater than or equal to 1"),
        ({"n": "2", "stream": "true"}, "n", "n=1"),
        ({"output_format": "gif"}, "output_format", "'png', 'jpeg' or 'webp'"),
        ({"output_compression": "50"}, "output_compression", "for jpeg and webp"),
        ({"partial_images": "4"}, "partial_images", "less than or equal to 3"),
        ({"frame_count": "4"}, "frame_count", "does not read 'frame_count'"),
        ({"svg[model]": "x"}, "svg[model]", "does not read"),
        ({"markup": "x"}, "markup", "does not read"),
        ({"format": "jpeg"}, "format", "called 'output_format' here"),
        ({"sd_steps": "3"}, "sd_steps", "does not read 'sd_steps'"),
        ({"cv2_radius": "0"}, "cv2_radius", "greater than or equal to 1"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(service, photo, hole, fields, param, message):
    error = raised(await post(service, **form(photo, hole, **fields)), 400)
    assert error["param"] == param
    assert message in error["message"]
    assert service.families["Erase"].calls == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"quality": "high", "moderation": "low", "input_fidelity": "high", "user": "u-1"},
        {"safety_identifier": "s", "background": "auto", "partial_images": "2"},
        {"size": "auto", "response_format": "b64_json", "stream": "false"},
        {"size": "160x120", "output_compression": "100"},
        {"prompt": "x" * 32_000},
    ],
)
async def test_what_changes_nothing_is_taken(service, photo, hole, fields):
    plain = result_of(await post(service, **form(photo, hole)))
    answer = await post(service, **form(photo, hole, **fields))
    np.testing.assert_array_equal(result_of(answer), plain)


async def test_our_own_parameters_go_to_the_model(service, photo, hole):
    wide = form(photo, hole, cv2_radius="30", cv2_flag="INPAINT_TELEA")
    other = result_of(await post(service, **wide))
    async with service.client() as client:
        files = {"image": png(photo), "mask": png(hole)}
        answer = await client.post("/inpaint", files=files, data=wide["data"] | {"prompt": ""})
        assert answer.status_code == 422  # the native route refuses a prompt here
        own = {name: value for name, value in wide["data"].items() if name != "prompt"}
        native = pixels((await client.post("/inpaint", files=files, data=own)).content)
    np.testing.assert_array_equal(other, native)


@pytest.mark.parametrize(
    ("output_format", "start"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8"), ("webp", b"RIFF")]
)
async def test_the_result_has_the_format_that_was_asked_for(
    service, photo, hole, output_format, start
):
    answer = await post(service, **form(photo, hole, output_format=output_format))
    assert answer.json()["output_format"] == output_format
    assert base64.b64decode(answer.json()["data"][0]["b64_json"]).startswith(start)


async def test_compression_makes_a_jpeg_smaller(service, photo, hole):
    lengths = []
    for compression in ("100", "50", "0"):
        fields = {"output_format": "jpeg", "output_compression": compression}
        answer = await post(service, **form(photo, hole, **fields))
        lengths.append(len(answer.json()["data"][0]["b64_json"]))
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 3


async def test_half_transparent_pixels_are_kept_and_not_edited(service, photo, hole):
    image = see_through(photo, hole)
    image[:20, :, 3] = 1
    files = {"image": png(image)}
    result = result_of(await post(service, files=files, data={"model": "cv2"}))
    np.testing.assert_array_equal(result[hole == 0], image[hole == 0])
    assert (result[hole > 0, 3] == 255).all()


async def test_the_mask_counts_and_not_the_pictures_transparency(service, photo, hole):
    image = see_through(photo, hole)
    elsewhere = np.roll(hole, 30, axis=0)
    files = {"image": png(image), "mask": png(transparent(elsewhere))}
    result = result_of(await post(service, files=files, data={"model": "cv2"}))
    kept = elsewhere == 0
    np.testing.assert_array_equal(result[kept], image[kept])
    assert (result[~kept, 3] == 255).all()


async def test_a_turned_photo_has_the_size_that_is_seen(service, photo, hole):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored sideways
    file = BytesIO()
    Image.fromarray(photo).save(file, "PNG", exif=exif)
    files = {"image": file.getvalue(), "mask": png(transparent(np.rot90(hole, -1)))}
    answer = await post(service, files=files, data={"model": "cv2", "size": "120x160"})
    assert answer.json()["size"] == "120x160"
    assert result_of(answer).shape == (160, 120, 3)


async def test_a_full_server_answers_503_and_says_when_to_come_again(service, photo, hole):
    service.families["Erase"].fail_with = [OverloadedError("full", {"retry_after_s": 3})]
    answer = await post(service, **form(photo, hole))
    assert raised(answer, 503, "server_error")["code"] == "overloaded"
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("3", "true")


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ModelError("no"), 500, "server_error", "model-failed"),
        (RequestCancelledError("gone"), 409, "invalid_request_error", "cancelled"),
        (ZeroDivisionError("secret"), 500, "server_error", "internal"),
    ],
)
async def test_what_would_fail_again_is_not_to_be_sent_again(
    service, photo, hole, error, status, kind, code
):
    service.families["Erase"].fail_with = [error]
    answer = await post(service, **form(photo, hole))
    assert raised(answer, status, kind)["code"] == code
    assert "retry-after" not in answer.headers
    assert answer.headers["x-should-retry"] == "false"
    assert "secret" not in answer.text


async def test_paths_and_methods_that_are_not_there_answer_in_openais_shape(service):
    async with service.client() as client:
        missing = await client.post("/v1/chat/completions", json={})
        wrong = await client.get(EDITS)
        elsewhere = await client.get("/v2/models")
    assert raised(missing, 404)["message"] == "Invalid URL or method (POST /v1/chat/completions)"
    raised(wrong, 405)
    assert elsewhere.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"json": []}, 400),
        ({"files": {"image": b"no picture"}}, 400),
        ({"files": {"mask": b""}}, 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(service, request_, status):
    raised(await post(service, **request_), status)


async def test_limits_hold_before_a_pixel_is_decoded(service, photo, hole):
    service.gateway.configure(IngressConfig(max_megapixels=0.001))
    assert raised(await post(service, **form(photo, hole)), 413)["code"] == "image-too-large"


async def test_the_deadline_and_the_id_are_those_of_any_route(service, photo, hole):
    late = {"x-timeout-seconds": "0.000001", "x-request-id": "mine"}
    answer = await post(service, **form(photo, hole), headers=late)
    assert raised(answer, 504, "server_error")["code"] == "deadline"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-should-retry"] == "false"


async def test_a_running_edit_is_cancelled_by_its_id(service, photo, hole):
    service.painters.gate = asyncio.Event()
    fields = {"model": "painter", "n": "3", "sd_steps": "2"}
    headers = {"x-request-id": "mine"}
    async with service.client() as client:
        body = form(photo, hole, **fields)
        running = asyncio.create_task(client.post(EDITS, **body, headers=headers))
        await until(lambda: service.painters.seen)
        assert (await client.delete("/requests/mine")).status_code == 200
        assert raised(await running, 409)["code"] == "cancelled"
    assert service.painters.cancelled == len(service.painters.seen) == 1  # of the three, no other


async def test_a_request_is_noted_as_any_other(service, photo, hole, settled):  # noqa: F811
    answer = await post(service, **form(photo, hole, model="noise", n="2"))
    assert answer.headers["x-model"] == "noise"
    assert answer.headers["server-timing"].startswith("receive;dur=")
    [account] = settled
    assert (account.route, account.model, account.family) == (EDITS, "noise", "Erase")
    assert (account.status, account.tiles) == (200, 2)


async def test_partial_pictures_are_spread_over_the_steps(service, photo, hole):
    fields = {"model": "painter", "sd_steps": "8", "stream": "true", "partial_images": "3"}
    answer = await post(service, **form(photo, hole, **fields))
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in events_of(answer.text)]
    assert names == ["image_edit.partial_image"] * 3 + ["image_edit.completed"]
    plain = await post(service, **form(photo, hole, **fields | {"partial_images": "0"}))
    assert [name for name, _ in events_of(plain.text)] == ["image_edit.completed"]


async def test_the_document_describes_every_field(service):
    async with service.client() as client:
        document = (await client.get("/openapi.json")).json()
    content = document["paths"][EDITS]["post"]["requestBody"]["content"]
    for kind, entry in content.items():
        fields = entry["schema"]["properties"]
        assert all("description" in field for field in fields.values()), kind
        assert {"mask", "model", "prompt", "n", "size", "stream", "user"} <= fields.keys()
    assert "$defs" not in json.dumps(document)
