"""OpenAI's own Python clients over /v1, in one process."""

import asyncio
import base64
from contextlib import asynccontextmanager

import httpx2
import numpy as np
import openai
import pytest
import uvicorn
import yaml

from inpaint.errors import OverloadedError, WeightsMissingError
from inpaint.settings import AccessArgs
from serve_app.access.keys import digest_of
from serve_app.api import create_api
from tests.api.test_inpaint import form
from tests.conftest import pixels
from tests.local_service import LocalService
from tests.openai_requests import edit_of, named, picture, see_through, transparent, until

KEY = "isk_studio"


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True, has_diffusion=True)


@asynccontextmanager
async def client_of(service, key="none", **options):
    """An AsyncOpenAI that calls the application directly."""
    app = create_api(service.gateway, service.iopaint, service.access)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    http = httpx2.AsyncClient(transport=transport, base_url="http://service")
    base = "http://service/v1"
    async with openai.AsyncOpenAI(api_key=key, base_url=base, http_client=http, **options) as made:
        yield made


@asynccontextmanager
async def address_of(service):
    """The base URL of the application behind a real socket."""
    app = create_api(service.gateway, service.iopaint, service.access)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        await serving


async def natively(service, photo, hole, **fields):
    """What POST /inpaint makes of the same picture."""
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, **fields))
    assert answer.status_code == 200, answer.text[:300]
    return pixels(answer.content)


def keep_out(service, tmp_path):
    """Have the service ask for KEY."""
    path = tmp_path / "keys.yaml"
    entry = {"name": "studio", "sha256": digest_of(KEY), "concurrent": 1}
    path.write_text(yaml.safe_dump({"keys": [entry]}))
    service.access = AccessArgs(auth="required", api_keys=path)


async def test_an_edit_with_a_mask_is_what_the_native_route_paints(service, photo, hole):
    async with client_of(service) as client:
        answer = await client.images.edit(**edit_of(photo, hole))
    [one] = answer.data
    result = picture(one.b64_json)
    np.testing.assert_array_equal(result, await natively(service, photo, hole, model="cv2"))
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    assert (result[hole > 0] != photo[hole > 0]).any()
    assert (answer.output_format, answer.size) == ("png", "160x120")
    assert answer.created > 1_700_000_000
    assert answer.usage.total_tokens == 0
    assert answer._request_id


async def test_the_synchronous_client_edits_over_a_socket(service, photo, hole):
    async with address_of(service) as base:
        with openai.OpenAI(api_key="none", base_url=base) as client:
            answer = await asyncio.to_thread(client.images.edit, **edit_of(photo, hole))
            [*models] = await asyncio.to_thread(lambda: list(client.models.list()))
    result = picture(answer.data[0].b64_json)
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    assert "cv2" in [model.id for model in models]


async def test_without_a_mask_the_pictures_own_transparency_marks(service, photo, hole):
    image = named(see_through(photo, hole))
    async with client_of(service) as client:
        answer = await client.images.edit(image=image, prompt="", model="cv2")
    result = picture(answer.data[0].b64_json)
    np.testing.assert_array_equal(
        result[..., :3], await natively(service, photo, hole, model="cv2")
    )
    assert (result[..., 3] == 255).all()  # what was painted can be seen


async def test_a_list_of_one_picture_is_that_picture(service, photo, hole):
    edit = edit_of(photo, hole)
    async with client_of(service) as client:
        alone = await client.images.edit(**edit)
        listed = await client.images.edit(**{**edit, "image": [edit["image"]]})
        with pytest.raises(openai.BadRequestError, match="one picture") as caught:
            await client.images.edit(**{**edit, "image": [edit["image"]] * 2})
    assert listed.data == alone.data
    assert caught.value.param == "image"


async def test_two_pictures_of_a_model_with_a_seed_have_seeds_in_a_row(service, photo, hole):
    edit = edit_of(photo, hole, model="noise", n=2, extra_body={"seed": 5})
    async with client_of(service) as client:
        answer = await client.images.edit(**edit)
    first, second = (picture(one.b64_json) for one in answer.data)
    for seed, result in ((5, first), (6, second)):
        expected = await natively(service, photo, hole, model="noise", seed=seed)
        np.testing.assert_array_equal(result, expected)
    assert (first != second).any()


async def test_a_model_without_a_seed_is_asked_once_for_all_pictures(service, photo, hole):
    async with client_of(service) as client:
        answer = await client.images.edit(**edit_of(photo, hole, n=3))
    assert len({one.b64_json for one in answer.data}) == 1
    assert len(answer.data) == 3
    assert service.families["Erase"].calls == 1


async def test_a_prompt_reaches_a_model_that_reads_one(service, photo, hole):
    steps = {"seed": 7, "sd_steps": 3, "negative_prompt": "people"}
    async with client_of(service) as client:
        edit = edit_of(photo, hole, model="painter", n=2, extra_body=steps)
        answer = await client.images.edit(**edit)
    assert len(answer.data) == 2
    assert [(call.params.prompt, call.params.seed) for call in service.painters.seen] == [
        ("an empty wall", 7),
        ("an empty wall", 8),
    ]
    assert {call.params.negative_prompt for call in service.painters.seen} == {"people"}


async def test_a_stream_brings_partial_pictures_and_then_the_result(service, photo, hole):
    steps = {"seed": 7, "sd_steps": 6}
    edit = edit_of(photo, hole, model="painter", extra_body=steps, output_format="jpeg")
    async with client_of(service) as client:
        stream = await client.images.edit(**edit, stream=True, partial_images=2)
        events = [event async for event in stream]
        whole = await client.images.edit(**edit)
    assert [event.type for event in events] == [
        "image_edit.partial_image",
        "image_edit.partial_image",
        "image_edit.completed",
    ]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    assert {event.size for event in events} == {"160x120"}
    for event in events:
        assert event.output_format == "jpeg"
        assert base64.b64decode(event.b64_json)[:2] == b"\xff\xd8"
    coarse = picture(events[0].b64_json)
    assert coarse.shape == (15, 20, 3)
    assert np.abs(coarse.astype(int) - (200, 100, 50)).max() <= 3  # what FakePainters show
    assert events[2].b64_json == whole.data[0].b64_json
    assert events[2].usage.total_tokens == 0


async def test_an_erase_model_streams_its_result_alone(service, photo, hole):
    async with client_of(service) as client:
        edit = edit_of(photo, hole, stream=True, partial_images=3)
        events = [event async for event in await client.images.edit(**edit)]
    assert [event.type for event in events] == ["image_edit.completed"]


async def test_a_stream_that_fails_raises_what_went_wrong(service, photo, hole):
    painters = service.painters
    painters.gate = asyncio.Event()
    edit = edit_of(photo, hole, model="painter", stream=True, extra_body={"sd_steps": 3})
    async with client_of(service, max_retries=0) as client:
        asked = asyncio.create_task(client.images.edit(**edit))
        await until(lambda: painters.seen)
        await asyncio.sleep(0.1)  # the first step has opened the stream
        painters.fail_with = [OverloadedError("The device is away.")]
        painters.gate.set()
        with pytest.raises(openai.APIError, match="The device is away") as caught:
            [event async for event in await asked]
    assert not isinstance(caught.value, openai.APIStatusError)  # the stream had begun
    assert caught.value.code == "overloaded"


async def test_models_are_those_that_edit_pictures(service):
    async with client_of(service) as client:
        listed = [model async for model in client.models.list()]
        one = await client.models.retrieve("painter/old-name")
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("pp-ocrv6-small")
    names = [model.id for model in listed]
    assert {"cv2", "lama", "painter"} <= set(names)
    assert "pp-ocrv6-small" not in names
    assert {model.object for model in listed} == {"model"}
    assert one.id == "painter"


async def test_an_unknown_model_is_not_found(service, photo, hole):
    async with client_of(service) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.images.edit(**edit_of(photo, hole, model="gpt-image-1"))
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-image-1")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_a_wrong_key_is_an_authentication_error(service, tmp_path, photo, hole):
    keep_out(service, tmp_path)
    async with client_of(service, "isk_wrong") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.images.edit(**edit_of(photo, hole))
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    assert caught.value.code == "invalid_api_key"
    async with client_of(service, KEY) as client:
        assert (await client.images.edit(**edit_of(photo, hole))).data


async def test_the_client_itself_comes_again_when_the_server_is_full(service, photo, hole):
    family = service.families["Erase"]
    family.fail_with = [OverloadedError("full", {"retry_after_s": 0.1})]
    async with client_of(service, max_retries=1) as client:
        answer = await client.images.edit(**edit_of(photo, hole))
    assert answer.data
    assert family.calls == 2


async def test_it_does_not_come_again_where_that_cannot_help(service, photo, hole):
    family = service.families["Erase"]
    family.fail_with = [WeightsMissingError("Fetch them first.")] * 3
    async with client_of(service, max_retries=2) as client:
        with pytest.raises(openai.InternalServerError, match="Fetch them first"):
            await client.images.edit(**edit_of(photo, hole))
    assert family.calls == 1


async def test_a_mask_of_another_size_or_without_holes_is_a_bad_request(service, photo, hole):
    edit = edit_of(photo, hole)
    full = np.zeros_like(hole)
    masks = {
        "must be equal": transparent(hole[:60]),
        "no pixel of the mask is fully transparent": transparent(full),
        "white on black is for POST /inpaint": hole,
    }
    async with client_of(service) as client:
        for message, mask in masks.items():
            with pytest.raises(openai.BadRequestError, match=message) as caught:
                await client.images.edit(**{**edit, "mask": named(mask)})
            assert caught.value.param == "mask"
        with pytest.raises(openai.BadRequestError, match="came without a mask"):
            await client.images.edit(image=named(photo), prompt="", model="cv2")
