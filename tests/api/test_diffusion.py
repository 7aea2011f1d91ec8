"""Models with a prompt over HTTP, with a family that paints flat colours."""

import asyncio
import base64

import numpy as np
import pytest

from inpaint.deadlines import Deadline
from inpaint.errors import OverloadedError, ReplicaLostError, RequestCancelledError
from serve_app.accounts import Account
from serve_app.bodies import Body
from serve_app.progress import Watcher
from serve_app.schemas import ModelCard
from tests.conftest import pixels, png
from tests.local_service import LocalService


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path, has_ocr=True, has_diffusion=True)


async def post(service, image, mask, **fields):
    async with service.client() as client:
        return await client.post(
            "/inpaint",
            files={"image": png(image), "mask": png(mask)},
            data={"model": "painter", "sd_seed": "7", "sd_steps": "3", **fields},
        )


async def post_iopaint(service, image, mask, **fields):
    pictures = {"image": png(image), "mask": png(mask)}
    body = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
    async with service.client() as client:
        return await client.post("/api/v1/inpaint", json=body | {"model": "painter"} | fields)


def detail(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/problems/{code}"
    return answer.json()["detail"]


async def test_the_hole_is_painted_and_the_rest_stays(service, photo, hole):
    answer = await post(service, photo, hole, sd_mask_blur=0)
    assert answer.status_code == 200, answer.text
    result = pixels(answer.content)
    assert (result[hole > 0] == (7, 3, 200)).all()
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    assert (answer.headers["x-model"], answer.headers["x-seed"]) == ("painter", "7")
    stages = [entry.split(";")[0] for entry in answer.headers["server-timing"].split(", ")]
    assert stages == [
        *("receive", "admit", "decode", "plan"),
        *("models", "queue", "forward", "blend", "encode", "total"),
    ]


async def test_the_family_gets_a_padded_picture_a_hard_mask_and_the_parameters(
    service, photo, hole
):
    fields = {"prompt": "ein Fuchs, très brun 狐", "negative_prompt": "blurry",
              "sd_sampler": "Euler a", "sd_strength": "0.75"}  # fmt: skip
    answer = await post(service, photo[:50, :70], hole[20:70, 40:110], **fields)
    assert answer.status_code == 200, answer.text
    (call,) = service.painters.seen
    assert call.model == "painter"
    assert call.image.shape == (64, 72, 3)  # the spec: multiples of 8, at least 64
    np.testing.assert_array_equal(call.image[:50, :70], photo[:50, :70])
    np.testing.assert_array_equal(call.image[50:, :70], photo[49:35:-1, :70])
    np.testing.assert_array_equal(call.mask[:50, :70], hole[20:70, 40:110])
    params = call.params
    assert (params.prompt, params.negative_prompt) == (fields["prompt"], "blurry")
    assert (params.sd_sampler, params.sd_strength) == ("Euler a", 0.75)
    assert (params.seed, params.sd_steps) == (7, 3)


async def test_the_feather_reaches_no_farther_than_the_blur(service, photo, hole):
    result = pixels((await post(service, photo, hole)).content)
    near = np.zeros_like(hole)
    near[40 - 11 : 70 + 11, 60 - 11 : 95 + 11] = 1
    np.testing.assert_array_equal(result[near == 0], photo[near == 0])
    assert (result[52:58, 72:83] == (7, 3, 200)).all()
    ring = (near > 0) & (hole == 0)
    assert (result[ring] != photo[ring]).any()


async def test_the_croper_paints_its_box_only(service, photo):
    mask = np.full((120, 160), 255, np.uint8)
    box = {"use_croper": "true", "croper_x": -10, "croper_y": 20, "croper_width": 60,
           "croper_height": 70, "sd_mask_blur": 0}  # fmt: skip
    result = pixels((await post(service, photo, mask, **box)).content)
    assert (result[20:90, :50] == (7, 3, 200)).all()
    result[20:90, :50] = photo[20:90, :50]
    np.testing.assert_array_equal(result, photo)
    assert service.painters.seen[0].image.shape == (72, 64, 3)


async def test_the_extender_makes_a_larger_picture_and_honours_the_users_mask(
    service, photo, hole, rng
):
    alpha = rng.integers(0, 256, (120, 160), np.uint8)
    box = {"use_extender": "true", "extender_x": -20, "extender_y": -8, "extender_width": 180,
           "extender_height": 128, "sd_mask_blur": 0}  # fmt: skip
    answer = await post(service, np.dstack([photo, alpha]), hole, **box)
    result = pixels(answer.content)
    assert result.shape == (128, 180, 4)
    inside = result[8:, 20:]
    np.testing.assert_array_equal(inside[hole == 0][:, :3], photo[hole == 0])
    assert (inside[hole > 0][:, :3] == (7, 3, 200)).all()
    np.testing.assert_array_equal(inside[..., 3], alpha)
    assert (result[:8] == (7, 3, 200, 255)).all()
    assert (result[:, :20] == (7, 3, 200, 255)).all()


async def test_json_tells_the_extended_size(service, photo, hole):
    body = {
        "image": base64.b64encode(png(photo)).decode(),
        "mask": base64.b64encode(png(0 * hole)).decode(),
        "model": "painter/old-name",
        "use_extender": True,
        "extender_width": 200,
        "extender_height": 120,
        "seed": 3,
    }
    async with service.client(headers={"accept": "application/json"}) as client:
        content = (await client.post("/inpaint", json=body)).json()
    assert (content["width"], content["height"], content["seed"]) == (200, 120, 3)
    assert (content["model"], content["tiles"]) == ("painter", 1)
    assert pixels(base64.b64decode(content["image"])).shape == (120, 200, 3)


async def test_an_empty_mask_answers_the_very_file_without_a_run(service, photo, hole):
    sent = png(photo)
    boxes = {}, {"use_croper": "1", "croper_x": "0", "croper_width": "50"}
    for fields, mask in zip(boxes, (0 * hole, hole), strict=True):  # the hole is beside the box
        async with service.client() as client:
            answer = await client.post(
                "/inpaint",
                files={"image": sent, "mask": png(mask)},
                data={"model": "painter", **fields},
            )
        assert answer.status_code == 200, answer.text
        assert answer.content == sent
    assert not service.painters.seen


async def test_a_shrunk_run_sends_less_and_restores_the_rest(service, rng):
    image = rng.integers(0, 256, (300, 400, 3), np.uint8)
    mask = np.zeros((300, 400), np.uint8)
    mask[100:200, 150:250] = 255
    too_large = await post(service, image, mask)
    said = detail(too_large, 413, "image-too-large")
    for word in ("painter", "400x304", "65536", "use_croper", "sd_scale"):
        assert word in said
    result = pixels((await post(service, image, mask, sd_scale=0.5, sd_mask_blur=0)).content)
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
    assert (result[mask > 0] == (7, 3, 200)).all()
    assert [call.image.shape for call in service.painters.seen] == [(152, 200, 3)]


async def test_an_extension_beyond_the_servers_limit_is_413(service, photo, hole):
    box = {"use_extender": "true", "extender_width": 10**6, "extender_height": 10**6}
    said = detail(await post(service, photo, hole, **box), 413, "image-too-large")
    assert "1000000x1000000" in said
    assert not service.painters.seen


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"hd_strategy": "Crop"}, "'hd_strategy'"),
        ({"cv2_radius": "3"}, "'cv2_radius'"),
        ({"sd_lcm_lora": "true"}, "'sd_lcm_lora'"),  # not in this model's YAML
        ({"sd_sampler": "Euler B"}, "sd_sampler"),
        ({"sd_steps": "151"}, "sd_steps"),
        ({"seed": "1"}, "'sd_seed'"),
        ({"use_croper": "1", "croper_x": "160"}, "croper_x"),
        ({"use_extender": "1", "extender_y": "-640"}, "extender_y"),
    ],
)
async def test_wrong_fields_are_named(service, photo, hole, fields, named):
    assert named in detail(await post(service, photo, hole, **fields), 422, "bad-params")
    assert not service.painters.seen


async def test_a_drawn_seed_can_be_repeated(service, photo, hole):
    drawn = await post(service, photo, hole, sd_seed="-1")
    seed = drawn.headers["x-seed"]
    repeated = await post(service, photo, hole, sd_seed=seed)
    assert repeated.content == drawn.content
    assert [call.params.seed for call in service.painters.seen] == [int(seed)] * 2


async def test_a_lost_replica_is_not_a_lost_request(service, photo, hole):
    service.painters.fail_with = [ReplicaLostError("gone")]
    answer = await post(service, photo, hole)
    assert answer.status_code == 200
    first, second = service.painters.seen
    assert first.params == second.params
    np.testing.assert_array_equal(first.image, second.image)


async def test_an_input_that_takes_down_two_replicas_is_refused(service, photo, hole):
    service.painters.fail_with = [ReplicaLostError("gone"), ReplicaLostError("gone")]
    detail(await post(service, photo, hole), 503, "replica-lost")
    detail(await post(service, photo, hole), 422, "input-refused")
    assert len(service.painters.seen) == 2


async def test_a_full_queue_is_503_with_retry_after(service, photo, hole):
    service.painters.fail_with = [OverloadedError("full", {"retry_after_s": 2.5})]
    answer = await post(service, photo, hole)
    detail(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "3"


def body_of(photo, hole, **fields):
    return Body({"image": png(photo), "mask": png(hole)}, {"model": "painter", **fields})


async def test_progress_is_passed_on_while_the_run_is_under_way(service, photo, hole):
    steps = []
    service.painters.gate = asyncio.Event()

    class Steps(Watcher):
        def step(self, step):
            steps.append((step.number, step.total))
            service.painters.gate.set()

    await service.gateway.inpaint(
        Account("id"), body_of(photo, hole, sd_steps=4), Deadline.after(9), watch=Steps()
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


async def test_cancelling_ends_the_run(service, photo, hole):
    service.painters.gate = asyncio.Event()
    started = asyncio.Event()

    class Started(Watcher):
        def step(self, step):
            started.set()

    body, account = body_of(photo, hole), Account("my-id")
    work = asyncio.create_task(
        service.gateway.inpaint(account, body, Deadline.after(9), watch=Started())
    )
    await asyncio.wait_for(started.wait(), 5)
    assert service.gateway.cancel_here("my-id")
    with pytest.raises(RequestCancelledError):
        await work
    assert service.painters.cancelled == 1


async def test_text_is_not_removed_by_a_model_with_a_prompt(service, photo):
    async with service.client() as client:
        answer = await client.post(
            "/remove-text", files={"image": png(photo)}, data={"model": "painter"}
        )
    said = detail(answer, 422, "bad-params")
    assert "painter" in said
    assert "'erase'" in said


async def test_models_tell_what_a_painter_reads(service):
    async with service.client() as client:
        card = ModelCard.model_validate((await client.get("/models/painter")).json())
        openapi = (await client.get("/openapi.json")).json()
    assert (card.kind, card.family, card.max_pixels) == ("diffusion", "Painters", 65536)
    assert {"prompt", "sd_steps", "seed"} <= set(card.parameters)
    schemas = {
        path: openapi["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
        for path in ("/inpaint", "/remove-text")
    }
    fields = {path: schema["schema"]["properties"].keys() for path, schema in schemas.items()}
    assert {"prompt", "sd_seed", "seed", "use_extender", "cv2_flag"} <= fields["/inpaint"]
    assert not {"prompt", "sd_seed", "use_extender"} & fields["/remove-text"]
    assert {"cv2_flag", "hd_strategy"} <= fields["/remove-text"]


async def test_iopaints_route_paints_with_its_defaults(service, photo, hole):
    answer = await post_iopaint(service, photo, hole, prompt="a fox", hd_strategy="Crop")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-seed"] == "42"
    result = pixels(answer.content)
    assert (result[52:58, 72:83] == (42, 50, 200)).all()
    assert service.painters.seen[0].params.prompt == "a fox"


async def test_iopaints_drawn_seed_is_told(service, photo, hole):
    answer = await post_iopaint(service, photo, hole, sd_seed=-1)
    assert int(answer.headers["x-seed"]) == service.painters.seen[0].params.seed > 0


async def test_iopaints_extender_paints_at_full_strength(service, photo, hole):
    box = {"use_extender": True, "extender_width": 200, "extender_height": 120, "sd_strength": 0.3}
    answer = await post_iopaint(service, photo, hole, **box)
    assert pixels(answer.content).shape == (120, 200, 3)
    assert service.painters.seen[0].params.sd_strength == 1.0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"sd_sampler": "Euler B"}, "sd_sampler"),
        ({"sd_steps": 1000}, "sd_steps"),
        ({"sd_strength": 0}, "sd_strength"),
        ({"use_extender": True, "extender_x": 160}, "extender_x"),
    ],
)
async def test_iopaints_500_is_a_422_in_its_shape(service, photo, hole, fields, named):
    answer = await post_iopaint(service, photo, hole, **fields)
    assert answer.status_code == 422
    assert answer.json().keys() == {"error", "detail", "body", "errors"}
    assert named in answer.json()["errors"]
