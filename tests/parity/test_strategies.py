"""The whole way of a request against numbers computed here, stage by stage, from the description.

The reference below is written from what IOPaint 1.6 does, with numpy and OpenCV alone and without
any of our own functions.
"""

import cv2
import numpy as np
import pytest

from tests.conftest import pixels, png
from tests.local_service import LocalService
from tests.parity.iopaint_steps import blended, crop_box
from tests.standins import md5_of
from tests.standins.lama import write_lama_torchscript

NEAR_EXACT = 1
"""Levels that a network may differ by: float order changes with batch and threads."""


def reference(strategy, forward, image, mask, sizes, trigger=128, margin=32, limit=100):
    """(H, W, 3) uint8: what IOPaint answers, where no tiles overlap."""
    if strategy == "Crop" and max(image.shape) > trigger:
        result = image.astype(np.float64)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            left, top, right, bottom = crop_box(contour, margin, *mask.shape)
            window = (slice(top, bottom), slice(left, right))
            result[window] = blended(forward, image[window], mask[window], *sizes)
    elif strategy == "Resize" and max(mask.shape) > limit:
        ratio = limit / max(mask.shape)
        size = tuple(int(side * ratio + 0.5) for side in mask.shape[::-1])
        small = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        small_mask = cv2.resize(mask, size, interpolation=cv2.INTER_CUBIC)
        result = blended(forward, small, small_mask, *sizes)
        result = cv2.resize(result, mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
        result[mask < 127] = image[mask < 127]
    else:
        result = blended(forward, image, mask, *sizes)
    return np.clip(result, 0, 255).astype(np.uint8)


def cv2_forward(image, mask):
    return cv2.inpaint(image[:, :, ::-1].copy(), mask, 4, cv2.INPAINT_NS)[:, :, ::-1]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    checkpoints = folder / "torch/hub/checkpoints"
    checkpoints.mkdir(parents=True)
    write_lama_torchscript(checkpoints / "big-lama.pt", ngf=8, blocks=2)
    return folder


@pytest.fixture(scope="module")
def lama_forward(model_dir):
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit
        network = torch.jit.load(str(model_dir / "torch/hub/checkpoints/big-lama.pt"))

    def forward(image, mask):
        pixels_in = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]
        holes_in = torch.from_numpy((mask[None, None].astype(np.float32) / 255 > 0) * 1)
        with torch.inference_mode():
            out = network(pixels_in, holes_in)[0].permute(1, 2, 0).numpy()
        return np.clip(out * 255, 0, 255).astype(np.uint8)

    return forward


def far_holes(size):
    mask = np.zeros(size, np.uint8)
    mask[6:17, 9:20] = mask[-20:-8, -25:-12] = 255
    return mask


def middle_hole(size):
    mask = np.zeros(size, np.uint8)
    centre = (size[1] // 2, size[0] // 2)
    cv2.ellipse(mask, centre, (19, 12), 20, 0, 360, 255, -1)
    return mask


def corner_hole(size):
    mask = np.zeros(size, np.uint8)
    mask[:14, -9:] = 255
    return mask


@pytest.mark.parametrize("make_mask", [far_holes, middle_hole, corner_hole])
@pytest.mark.parametrize("size", [(150, 190), (131, 257)])
@pytest.mark.parametrize("strategy", ["Original", "Crop", "Resize"])
@pytest.mark.parametrize("model", ["cv2", "lama"])
async def test_pixels_equal_the_reference(
    model_dir, lama_forward, monkeypatch, rng, model, strategy, size, make_mask
):
    weights = model_dir / "torch/hub/checkpoints/big-lama.pt"
    monkeypatch.setenv("LAMA_MODEL_MD5", md5_of(weights))
    coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
    image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    mask = make_mask(size)
    fields = {"model": model, "hd_strategy": strategy}
    if strategy == "Crop":
        fields |= {"hd_strategy_crop_trigger_size": 128, "hd_strategy_crop_margin": 32}
    if strategy == "Resize":
        fields |= {"hd_strategy_resize_limit": 100}
    files = {"image": png(image), "mask": png(mask)}
    async with LocalService(model_dir).client() as client:
        answer = await client.post("/inpaint", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    forward, sizes = {"cv2": (cv2_forward, (1, 0)), "lama": (lama_forward, (8, 16))}[model]
    expected = reference(strategy, forward, image, mask, sizes)
    result = pixels(answer.content)
    difference = np.abs(result.astype(int) - expected)
    assert difference.max() <= (0 if model == "cv2" else NEAR_EXACT)
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
