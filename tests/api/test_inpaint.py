import base64
import json

import cv2
import numpy as np
import pytest

from inpaint.errors import ModelError, OverloadedError, ReplicaLostError
from tests.conftest import pixels, png
from tests.local_service import LocalService


@pytest.fixture
def service(tmp_path):
    return LocalService(tmp_path)


def form(photo, hole, **fields):
    return {"files": {"image": png(photo), "mask": png(hole)}, "data": fields}


def problem(answer, status, code):
    """Assert that `answer` is this problem, and give its detail."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    assert answer.json()["type"] == f"/problems/{code}"
    return answer.json()["detail"]


async def test_inpaint_erases_and_keeps_every_other_pixel(service, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2", cv2_radius=5))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    expected = cv2.inpaint(photo[..., ::-1].copy(), hole, 5, cv2.INPAINT_NS)[..., ::-1]
    result = pixels(answer.content)
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])
    np.testing.assert_array_equal(result[hole > 0], expected[hole > 0])
    assert answer.headers["x-model"] == "cv2"
    assert answer.headers["x-seed"].isdigit()
    stages = [entry.split(";")[0] for entry in answer.headers["server-timing"].split(", ")]
    assert stages == [
        *("receive", "admit", "decode", "plan"),
        *("models", "queue", "forward", "paste", "encode", "total"),
    ]


async def test_inpaint_takes_json_and_answers_json(service, photo, hole):
    body = {
        "image": base64.b64encode(png(photo)).decode(),
        "mask": "data:image/png;base64," + base64.b64encode(png(hole)).decode(),
        "model": "mean-fill",
    }
    headers = {"accept": "application/json", "x-request-id": "my-id.1"}
    async with service.client(headers=headers) as client:
        answer = await client.post("/inpaint", json=body)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["width"], content["height"]) == (160, 120)
    assert (content["model"], content["tiles"], content["format"]) == ("mean-fill", 1, "png")
    assert content["request_id"] == answer.headers["x-request-id"] == "my-id.1"
    result = pixels(base64.b64decode(content["image"]))
    np.testing.assert_array_equal(result[hole == 0], photo[hole == 0])


async def test_accept_chooses_the_format(service, photo, hole):
    async with service.client(headers={"accept": "image/webp"}) as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        assert answer.headers["content-type"] == "image/webp"
        assert answer.content[8:12] == b"WEBP"
    async with service.client(headers={"accept": "text/html"}) as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        problem(answer, 406, "not-acceptable")


async def test_empty_mask_answers_the_very_file(service, photo):
    sent = png(photo)
    files = {"image": sent, "mask": png(np.zeros((120, 160), np.uint8))}
    async with service.client() as client:
        answer = await client.post("/inpaint", files=files)
    assert answer.status_code == 200
    assert answer.content == sent
    assert service.families["Erase"].calls == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (7, 5), (1, 90)])
async def test_full_mask_and_tiny_pictures_work(service, rng, size):
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    async with service.client() as client:
        answer = await client.post(
            "/inpaint", **form(image, np.full(size, 255, np.uint8), model="cv2")
        )
    assert answer.status_code == 200, answer.text
    assert pixels(answer.content).shape == image.shape


async def test_alpha_comes_back_untouched(service, photo, hole, rng):
    alpha = rng.integers(0, 256, (120, 160), np.uint8)
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(np.dstack([photo, alpha]), hole))
    np.testing.assert_array_equal(pixels(answer.content)[..., 3], alpha)


async def test_same_seed_gives_the_same_noise(service, photo, hole):
    async with service.client() as client:
        first, again = [
            await client.post("/inpaint", **form(photo, hole, model="noise", seed=5))
            for _ in range(2)
        ]
        drawn = await client.post("/inpaint", **form(photo, hole, model="noise"))
        seed = drawn.headers["x-seed"]
        repeated = await client.post("/inpaint", **form(photo, hole, model="noise", seed=seed))
    assert first.headers["x-seed"] == "5"
    assert first.content == again.content != drawn.content == repeated.content


async def test_crop_sends_tiles_and_resize_sends_a_small_picture(service, rng):
    image = rng.integers(0, 256, (300, 900, 3), np.uint8)
    mask = np.zeros((300, 900), np.uint8)
    mask[10:20, 10:20] = mask[10:20, 880:890] = 255
    async with service.client(headers={"accept": "application/json"}) as client:
        crop = await client.post(
            "/inpaint", **form(image, mask, model="cv2", hd_strategy="CROP",
                               hd_strategy_crop_margin=32)
        )  # fmt: skip
        resize = await client.post(
            "/inpaint", **form(image, mask, model="cv2", hd_strategy="resize",
                               hd_strategy_resize_limit=200)
        )  # fmt: skip
    assert (crop.json()["tiles"], resize.json()["tiles"]) == (2, 1)
    for answer in (crop, resize):
        result = pixels(base64.b64decode(answer.json()["image"]))
        np.testing.assert_array_equal(result[mask == 0], image[mask == 0])


BAD_FIELDS = [
    ({"model": "cv2", "cv2_radius": "-3"}, "cv2_radius"),
    ({"model": "cv2", "cv2_radius": "nan"}, "cv2_radius"),
    ({"model": "cv2", "hd_strategy_crop_margin": "-1"}, "hd_strategy_crop_margin"),
    ({"model": "cv2", "hd_strategy": "zoom"}, "hd_strategy"),
    ({"model": "cv2", "quality": "101"}, "quality"),
    ({"model": "cv2", "format": "heic"}, "format"),
    ({"model": "cv2", "promt": "a cat"}, "'promt'"),
    ({"model": "cv2", "seed": "3"}, "'seed'"),
    ({"model": "mean-fill", "cv2_radius": "3"}, "'cv2_radius'"),
]


@pytest.mark.parametrize(("fields", "named"), BAD_FIELDS)
async def test_wrong_fields_are_named(service, photo, hole, fields, named):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, **fields))
    assert named in problem(answer, 422, "bad-params")


async def test_nan_in_json_is_refused(service):
    async with service.client(headers={"content-type": "application/json"}) as client:
        answer = await client.post("/inpaint", content=b'{"image": "", "quality": NaN}')
    problem(answer, 400, "bad-request")


@pytest.mark.parametrize("name", ["nope", "../cv2", "/etc/passwd", "cv2\x00", "a" * 150])
async def test_unknown_models_are_404_and_known_ones_listed(service, photo, hole, name):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model=name))
    assert "cv2" in problem(answer, 404, "unknown-model")


async def test_bad_pictures_are_400_and_the_server_goes_on(service, photo, hole):
    good = png(photo)
    async with service.client() as client:
        for data in (b"no picture", good[: len(good) // 2], b"\x89PNG\r\n\x1a\n", b"GIF89a"):
            answer = await client.post("/inpaint", files={"image": data, "mask": png(hole)})
            problem(answer, 400, "image-decode")
        answer = await client.post("/inpaint", **form(photo, hole))
        assert answer.status_code == 200


async def test_mask_of_another_size_is_422_with_both_sizes(service, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole[:, :100]))
    detail = problem(answer, 422, "mask-mismatch")
    assert "100x120" in detail
    assert "160x120" in detail


async def test_missing_files_and_wrong_base64_are_named(service, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", files={"image": png(photo)})
        assert "'mask'" in problem(answer, 422, "bad-params")
        answer = await client.post("/inpaint", json={"image": "@@@", "mask": "AAAA"})
        assert "'image'" in problem(answer, 422, "bad-params")
        answer = await client.post("/inpaint", content=b"x", headers={"content-type": "text/csv"})
        problem(answer, 415, "unsupported-media-type")


async def test_too_many_pixels_are_413_before_decoding(service, hole):
    import struct
    import zlib

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    async with service.client() as client:
        answer = await client.post("/inpaint", files={"image": bomb, "mask": png(hole)})
    assert "40000x40000" in problem(answer, 413, "image-too-large")


async def test_missing_weights_are_a_503_that_says_what_to_do(service, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="lama"))
        detail = problem(answer, 503, "weights-missing")
        assert "big-lama.pt" in detail
        assert str(service) not in detail
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        assert answer.status_code == 200


async def test_corrupt_weights_are_never_loaded(service, tmp_path, photo, hole):
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    (folder / "big-lama.pt").write_bytes(b"not the published file")
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="lama"))
        detail = problem(answer, 503, "weights-corrupt")
        assert "MD5" in detail
        assert str(tmp_path) not in detail
        # The default has weights on disk, if wrong ones: it says so instead of falling back.
        problem(await client.post("/inpaint", **form(photo, hole)), 503, "weights-corrupt")


async def test_a_model_of_a_family_that_is_not_configured_is_503(service, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="dies-once"))
    assert "Fragile" in problem(answer, 503, "family-missing")


async def test_foreign_errors_stay_inside(service, photo, hole):
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="broken"))
        assert "nobody outside" not in problem(answer, 500, "model-failed")
        photo[0, 0] = (255, 0, 0)
        answer = await client.post("/inpaint", **form(photo, hole, model="broken"))
        assert "/secret" not in problem(answer, 503, "out-of-memory")
        assert int(answer.headers["retry-after"]) > 0


async def test_a_lost_replica_is_not_a_lost_request(service, photo, hole):
    family = service.families["Erase"]
    family.fail_with = [ReplicaLostError("gone")]
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    assert answer.status_code == 200
    assert family.calls == 2


async def test_an_input_that_takes_down_two_replicas_is_refused_for_a_while(service, photo, hole):
    family = service.families["Erase"]
    family.fail_with = [ReplicaLostError("gone"), ReplicaLostError("gone")]
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        problem(answer, 503, "replica-lost")
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
        problem(answer, 422, "input-refused")
        other = photo.copy()
        other[0, 0] ^= 1
        answer = await client.post("/inpaint", **form(other, hole, model="cv2"))
        assert answer.status_code == 200
    assert family.calls == 3


async def test_a_full_queue_is_503_with_retry_after(service, photo, hole):
    service.families["Erase"].fail_with = [OverloadedError("full", {"retry_after_s": 2.5})]
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    problem(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "3"


async def test_a_defect_of_ours_says_nothing_about_itself(service, photo, hole):
    service.families["Erase"].fail_with = [ZeroDivisionError("/root/secret.py")]
    async with service.client(headers={"x-request-id": "known-id"}) as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    detail = problem(answer, 500, "internal")
    assert "secret" not in detail
    assert "known-id" in detail


async def test_model_errors_keep_their_text_and_hide_their_context(service, photo, hole):
    service.families["Erase"].fail_with = [ModelError("failed on this", {"path": "/root/x"})]
    async with service.client() as client:
        answer = await client.post("/inpaint", **form(photo, hole, model="cv2"))
    assert problem(answer, 500, "model-failed") == "failed on this"
    assert "/root" not in json.dumps(answer.json())
