"""Text out of a real photo, by the real PaddleOCR, as the shipped config serves it."""

import base64

import httpx
import numpy as np
import pytest
from skimage import data

from tests.conftest import pixels, png
from tests.pages import write

LINES = [("SUMMER SALE 2026", (40, 40), 40), ("Call 555-0134 today", (60, 330), 28)]


@pytest.fixture(scope="module")
def photo():
    return data.coffee()


@pytest.fixture(scope="module")
def poster(photo):
    image = photo
    for text, position, size in LINES:
        image = write(image, text, position, size, outline=1)
    return image


def post(server, route, image, accept="application/json", **fields):
    return httpx.post(
        f"{server.url}{route}",
        files={"image": png(image)},
        data=fields,
        headers={"accept": accept},
        timeout=120,
    )


def test_ocr_reads_both_lines(server, poster):
    answer = post(server, "/ocr", poster)
    assert answer.status_code == 200, answer.text
    read = "".join(region["text"] for region in answer.json()["regions"]).replace(" ", "")
    for text, _, _ in LINES:
        assert text.replace(" ", "") in read


def test_text_is_gone_and_the_photo_is_kept(server, poster, photo):
    answer = post(server, "/remove-text", poster)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["removed"] == content["found"] >= len(LINES)
    assert content["remaining"] == 0
    result, mask = (pixels(base64.b64decode(content[name])) for name in ("image", "mask"))
    np.testing.assert_array_equal(result[mask == 0], poster[mask == 0])
    written = (poster != photo).any(axis=2)
    assert (mask[written] > 0).mean() > 0.95
    left = post(server, "/ocr", result).json()["regions"]
    assert not any("SALE" in region["text"] or "555" in region["text"] for region in left)
    assert mask.astype(bool).mean() < 0.3


def test_a_pattern_keeps_a_line(server, poster):
    content = post(server, "/remove-text", poster, keep="call").json()
    fates = {region["text"].split()[0]: region["fate"] for region in content["regions"]}
    assert fates["Call"] == "kept: pattern"
    result = pixels(base64.b64decode(content["image"]))
    np.testing.assert_array_equal(result[320:370, 60:400], poster[320:370, 60:400])


def test_a_photo_without_text_comes_back_as_it_came(server, photo):
    smooth = np.ascontiguousarray(photo[150:300, :150])
    sent = png(smooth)
    answer = httpx.post(f"{server.url}/remove-text", files={"image": sent}, timeout=120)
    assert answer.headers["x-text-found"] == "0"
    assert answer.content == sent


def test_one_requests_settings_do_not_leak_into_the_next(server, poster):
    first = post(server, "/ocr", poster).json()["regions"]
    blind = post(server, "/ocr", poster, box_thresh="1.0", min_score="1.0").json()["regions"]
    again = post(server, "/ocr", poster).json()["regions"]
    assert len(blind) < len(first)
    assert again == first
