"""The example picture on a real Serve application: from a form, and from IOPaint's JSON."""

import base64

import numpy as np
import pytest

from tests.conftest import pixels, png

FIELD = "paint_by_example_example_image"
COLOURS = {"small": (10, 200, 30), "large": (200, 20, 90)}
SIDES = {"small": (20, 30), "large": (900, 1000)}  # the large one travels by reference


def example_of(size):
    return png(np.full((*SIDES[size], 3), COLOURS[size], np.uint8))


@pytest.fixture(scope="module")
def picture():
    """(96, 128, 3) uint8 RGB noise."""
    return np.random.default_rng(5).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.fixture(scope="module")
def middle():
    mask = np.zeros((96, 128), np.uint8)
    mask[32:64, 40:80] = 255
    return mask


@pytest.mark.parametrize("size", SIDES)
def test_a_part_of_a_form_reaches_the_replica(client, picture, middle, size):
    answer = client.post(
        "/inpaint",
        files={"image": png(picture), "mask": png(middle), FIELD: example_of(size)},
        data={"model": "shown-example", "sd_steps": 2, "sd_mask_blur": 0},
    )
    assert answer.status_code == 200, answer.text
    result = pixels(answer.content)
    assert (result[middle > 0] == COLOURS[size]).all()
    np.testing.assert_array_equal(result[middle == 0], picture[middle == 0])


def test_iopaints_base64_reaches_the_replica(client, picture, middle):
    files = {"image": png(picture), "mask": png(middle), FIELD: example_of("small")}
    body = {name: base64.b64encode(data).decode() for name, data in files.items()}
    more = {"model": "shown-example", "sd_steps": 2, "sd_mask_blur": 0}
    answer = client.post("/api/v1/inpaint", json=body | more)
    assert answer.status_code == 200, answer.text
    assert (pixels(answer.content)[middle > 0] == COLOURS["small"]).all()
