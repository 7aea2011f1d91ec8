"""Models that see squares of one size: each hole's surroundings, against numbers computed here.

The reference is what IOPaint 1.6 does for migan and fcf, where no tiles overlap.
"""

import warnings

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import pixels, png
from tests.local_service import LocalService
from tests.parity.iopaint_steps import blended, crop_box
from tests.standins.catalog import checkpoints_of, checksum_variables, write_stand_ins
from tests.standins.fcf import random_fcf
from tests.standins.migan import FILE as MIGAN_FILE

SIDE, MARGIN = 512, 128

NEAR_EXACT = 1
"""Levels that a network may differ by: float order changes with batch and threads."""


def reference(forward, image, mask):
    """(H, W, 3) uint8: what IOPaint answers, without its wrap-around of what is beyond 0..255."""
    if mask.shape == (SIDE, SIDE):
        return blended(forward, image, mask, SIDE, SIDE).astype(np.uint8)
    result = image.copy()
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        left, top, right, bottom = crop_box(contour, MARGIN, *mask.shape)
        window = (slice(top, bottom), slice(left, right))
        repainted = shrunk_and_back(forward, image[window], mask[window])
        repainted[mask[window] < 127] = image[window][mask[window] < 127]
        result[window] = np.clip(repainted, 0, 255).astype(np.uint8)
    return result


def shrunk_and_back(forward, image, mask):
    """The longer side at most SIDE while the network runs."""
    height, width = mask.shape
    if max(height, width) <= SIDE:
        return blended(forward, image, mask, SIDE, SIDE)
    ratio = SIDE / max(height, width)
    small = (int(width * ratio + 0.5), int(height * ratio + 0.5))
    image, mask = (cv2.resize(a, small, interpolation=cv2.INTER_CUBIC) for a in (image, mask))
    painted = blended(forward, image, mask, SIDE, SIDE)
    return cv2.resize(painted, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_stand_ins(folder, ["migan", "fcf"])
    return folder


@pytest.fixture(scope="module")
def networks(model_dir):
    """Each takes (1, 3, H, W), -1..1, and a mask of 0 and 1, and answers -1..1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit
        migan = torch.jit.load(str(checkpoints_of(model_dir) / MIGAN_FILE))

    def with_planes(image, mask):
        return migan(torch.cat((0.5 - mask, image * (1 - mask)), dim=1))

    return {"migan": with_planes, "fcf": random_fcf()}


def forward_of(network):
    """`network` on (H, W, 3) uint8 and a (H, W) uint8 mask, above 120 a hole."""

    def forward(image, mask):
        given = torch.from_numpy(image.astype(np.float32) / 255 * 2 - 1).permute(2, 0, 1)[None]
        hole = torch.from_numpy((mask > 120).astype(np.float32))[None, None]
        with torch.inference_mode():
            painted = network(given, hole)[0].permute(1, 2, 0).numpy()
        return np.clip(np.rint(painted * 127.5 + 127.5), 0, 255).astype(np.uint8)

    return forward


def middle(size):
    """An ellipse with odd sides."""
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, (size[1] // 2, size[0] // 2), (37, 22), 20, 0, 360, 255, -1)
    return mask


def corners(size):
    mask = np.zeros(size, np.uint8)
    mask[:19, -33:] = mask[-25:, :14] = 255
    return mask


def large(size):
    """A hole so wide that its tile has to be shrunk, with a ragged edge."""
    mask = middle(size)
    mask[size[0] // 3 : size[0] // 2, 41:-53] = 255
    return mask


CASES = [
    ("migan", (512, 512), corners),
    ("migan", (512, 511), middle),
    ("migan", (211, 173), middle),
    ("migan", (40, 900), corners),
    ("migan", (700, 801), corners),
    ("migan", (700, 801), large),
    ("migan", (801, 611), large),
    ("fcf", (140, 701), large),
]


@pytest.mark.parametrize(("model", "size", "make_mask"), CASES)
async def test_pixels_equal_the_reference(
    model_dir, networks, monkeypatch, rng, model, size, make_mask
):
    for name, md5 in checksum_variables(model_dir).items():
        monkeypatch.setenv(name, md5)
    image = cv2.resize(
        rng.integers(0, 256, (12, 16, 3), np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC
    )
    mask = make_mask(size)
    files = {"image": png(image), "mask": png(mask)}
    async with LocalService(model_dir).client() as client:
        answer = await client.post("/inpaint", files=files, data={"model": model})
    assert answer.status_code == 200, answer.text
    result = pixels(answer.content)
    expected = reference(forward_of(networks[model]), image, mask)
    assert (expected != image).any(axis=2)[mask > 0].mean() > 0.5
    assert np.abs(result.astype(int) - expected).max() <= NEAR_EXACT
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
