"""OpenCV's runner against cv2.inpaint called as IOPaint calls it."""

from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.models.opencv import FLAGS, OpenCV, window_around
from inpaint.arrays import Image, Mask
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

Flag = Literal["INPAINT_NS", "INPAINT_TELEA"]
CONFIGS = Path(__file__).parents[2] / "configs" / "models"


def erase(image: Image, mask: Mask, flag: Flag = "INPAINT_NS", radius: int = 4) -> Image:
    params = EraseParams(cv2_flag=flag, cv2_radius=radius)
    return np.asarray(OpenCV().forward(image[None], mask[None], params)[0])


def iopaint(image: Image, mask: Mask, flag: Flag, radius: int) -> Image:
    """IOPaint's call, on the whole BGR picture; turned back into RGB."""
    bgr = np.ascontiguousarray(image[:, :, ::-1])
    filled = cv2.inpaint(bgr, mask, inpaintRadius=radius, flags=FLAGS[flag])
    return np.asarray(filled, np.uint8)[:, :, ::-1]


def random_image(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth_image(height: int, width: int, seed: int = 0) -> Image:
    small = random_image(max(1, height // 8), max(1, width // 8), seed)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(image, np.uint8)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Zero to five rectangles, which may touch borders and each other, and single pixels."""
    height, width = draw(st.integers(2, 56)), draw(st.integers(2, 56))
    mask: Mask = np.zeros((height, width), np.uint8)
    for _ in range(draw(st.integers(0, 5))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        rows, columns = draw(st.integers(1, 24)), draw(st.integers(1, 24))
        mask[top : top + rows, left : left + columns] = draw(st.integers(1, 255))
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        mask[rng.random(mask.shape) < 0.05] = 255
    return mask


@given(masks(), st.sampled_from(sorted(FLAGS)), st.integers(1, 9), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_opencv_equals_iopaint_bit_for_bit(mask, flag, radius, seed):
    make = random_image if seed % 2 else smooth_image
    height, width = mask.shape
    image = make(height, width, seed)
    ours = erase(image, mask, flag, radius)
    np.testing.assert_array_equal(ours, iopaint(image, mask, flag, radius))


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize(
    "holes",
    [
        [(5, 5, 6, 6), (390, 590, 8, 8)],
        [(0, 0, 12, 3), (380, 0, 20, 20), (0, 595, 9, 5)],
        [(100, 80, 60, 2), (100, 90, 60, 2), (130, 60, 2, 60), (300, 300, 1, 1)],
    ],
    ids=["far-apart", "corners", "crossing-lines"],
)
def test_opencv_equals_iopaint_on_several_holes_of_a_large_picture(flag, holes):
    image = smooth_image(400, 600)
    mask = np.zeros((400, 600), np.uint8)
    for top, left, rows, columns in holes:
        mask[top : top + rows, left : left + columns] = 255
    ours = erase(image, mask, flag, 5)
    np.testing.assert_array_equal(ours, iopaint(image, mask, flag, 5))


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2), (17, 31)])
@pytest.mark.parametrize("value", [0, 255])
def test_opencv_returns_the_image_for_full_and_empty_masks(flag, size, value):
    image, mask = random_image(*size), np.full(size, value, np.uint8)
    np.testing.assert_array_equal(erase(image, mask, flag), image)


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("size", [(1, 30), (30, 1)])
def test_opencv_fills_pictures_of_one_row_or_column_alike_each_time(flag, size):
    image, mask = random_image(*size), np.zeros(size, np.uint8)
    mask.flat[[0, 4, 5, 6, 20, 29]] = 255
    results = set()
    for seed in range(40):
        noise = [random_image(1, side, seed) for side in range(1, 60)]  # what memory may hold
        results.add(erase(image, mask, flag).tobytes())
        del noise
    assert len(results) == 1
    kept = mask == 0
    np.testing.assert_array_equal(erase(image, mask, flag)[kept], image[kept])


@pytest.mark.parametrize("flag", FLAGS)
def test_opencv_equals_iopaint_at_the_largest_radius(flag):
    image, mask = smooth_image(250, 250), np.zeros((250, 250), np.uint8)
    mask[120:124, 120:124] = 255
    ours = erase(image, mask, flag, 100)
    np.testing.assert_array_equal(ours, iopaint(image, mask, flag, 100))


@pytest.mark.parametrize("flag", FLAGS)
def test_opencv_fills_each_channel_by_itself(flag):
    image, mask = random_image(40, 40), np.zeros((40, 40), np.uint8)
    mask[10:25, 8:30] = 255
    filled = erase(image, mask, flag)
    for channel in range(3):
        alone = np.repeat(image[:, :, channel, None], 3, axis=2)
        expected = erase(alone, mask, flag)[:, :, 0]
        np.testing.assert_array_equal(filled[:, :, channel], expected)


def test_opencv_takes_faint_mask_pixels_as_holes():
    image = np.full((20, 20, 3), 200, np.uint8)
    image[8:12, 8:12] = 0
    mask = np.zeros((20, 20), np.uint8)
    mask[7:13, 7:13] = 1
    np.testing.assert_array_equal(erase(image, mask), np.full((20, 20, 3), 200, np.uint8))


def test_opencv_reads_flag_and_radius():
    image, mask = random_image(40, 40), np.zeros((40, 40), np.uint8)
    mask[10:25, 8:30] = 255
    flags: tuple[Flag, ...] = get_args(Flag)
    results = [erase(image, mask, flag, radius) for flag in flags for radius in (2, 9)]
    assert len({result.tobytes() for result in results}) == 4


def test_opencv_takes_read_only_arrays_and_answers_a_new_one():
    images, masks = random_image(30, 20)[None], np.zeros((1, 30, 20), np.uint8)
    masks[0, 5:9, 5:9] = 255
    before = images.copy(), masks.copy()
    images.flags.writeable = masks.flags.writeable = False
    result = OpenCV().forward(images, masks, EraseParams())
    assert result.dtype == np.uint8
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(masks, before[1])


def test_opencv_window_stays_small_around_a_small_hole():
    mask = np.zeros((3000, 4000), np.uint8)
    mask[1000:1020, 0:30] = 255
    assert window_around(mask, 6) == (slice(994, 1026), slice(0, 36))


def test_opencv_config_names_the_runner_and_its_parameters():
    spec = ModelSpec.model_validate(yaml.safe_load((CONFIGS / "cv2.yaml").read_text()))
    assert spec.runner == f"{OpenCV.__module__}:{OpenCV.__name__}"
    assert set(spec.reads) <= set(EraseParams.model_fields)
    assert isinstance(OpenCV.load(spec, (), LoadOptions()), OpenCV)
