"""POST /ocr and /remove-text on a real Serve application, with a reader that misbehaves.

The real reader is met in tests/e2e.
"""

import numpy as np
import pytest

from tests.conftest import pixels, png


@pytest.fixture
def sign(rng):
    """A busy picture with a black bar, which the tests' reader takes for text."""
    image = rng.integers(60, 256, (200, 300, 3), np.uint8)
    image[80:110, 50:200] = 0
    return image


def send(client, route, image, **options):
    return client.post(route, files={"image": png(image)}, **options)


def test_a_reader_that_dies_is_not_seen_by_the_client(client, sign, scratch):
    answer = send(client, "/ocr", sign)
    assert answer.status_code == 200, answer.text
    assert (scratch / "reader-died").exists()
    assert [region["text"] for region in answer.json()["regions"]] == ["black"]


def test_text_is_read_erased_and_checked_across_two_families(client, sign):
    answer = send(client, "/remove-text", sign, data={"model": "cv2"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-text-removed"] == "1"
    assert answer.headers["x-text-remaining"] == "0"
    result = pixels(answer.content)
    assert not (result[80:110, 50:200] == 0).all(axis=2).any()
    np.testing.assert_array_equal(result[:60], sign[:60])


def test_a_slow_reader_meets_the_deadline(client, sign):
    sign[0, 0] = (0, 255, 0)
    answer = send(client, "/ocr", sign, headers={"x-timeout-seconds": "0.4"})
    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline")
