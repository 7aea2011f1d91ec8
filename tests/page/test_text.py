"""Text removal in the page: what is found is shown first, and each line can stay."""

import httpx
import numpy as np
import pytest
from skimage import data

from tests.conftest import pixels, png
from tests.pages import write

LINES = {"SUMMER SALE 2026": ((40, 40), 40), "Call 555-0134 today": ((60, 330), 28)}
BOXES = {
    "SUMMER SALE 2026": (slice(35, 100), slice(30, 460)),
    "Call 555-0134 today": (slice(325, 375), slice(50, 400)),
}


@pytest.fixture(scope="module")
def poster():
    image = data.coffee()
    for text, (position, size) in LINES.items():
        image = write(image, text, position, size, outline=1)
    return image


@pytest.fixture
def review(bench, poster):
    """The page with the poster's text found."""
    bench.open(png(poster), "poster.png")
    bench.page.locator("#find-text").click()
    bench.page.wait_for_selector("#review:not([hidden])")
    return bench


def row(bench, text):
    return bench.page.locator("#region-list li", has_text=text.split()[0]).get_by_role("checkbox")


def test_a_line_that_is_switched_off_stays_and_the_other_goes(review, poster):
    kept, gone = BOXES["SUMMER SALE 2026"], BOXES["Call 555-0134 today"]
    assert review.page.locator("#review-count").inner_text() == "2 of 2 chosen"
    review.shoot("text-found")
    row(review, "SUMMER").uncheck()
    assert review.page.locator("#review-count").inner_text() == "1 of 2 chosen"
    review.page.locator("#review-run").click()
    review.settle()
    review.shoot("text-removed")
    name, result = review.download()
    assert name == "poster-cleaned.png"
    np.testing.assert_array_equal(pixels(result)[kept], poster[kept])
    answer = httpx.post(f"{review.url}/ocr", files={"image": result}, timeout=60).json()
    assert [region["text"] for region in answer["regions"]] == ["SUMMER SALE 2026"]
    assert np.any(pixels(result)[gone] != poster[gone])


def test_a_line_is_switched_by_a_click_on_the_picture_and_leaves_the_mask(review, poster):
    rows, columns = BOXES["Call 555-0134 today"]
    middle = ((columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2)
    review.page.mouse.click(*review.at(*middle))
    assert not row(review, "Call").is_checked()
    review.page.locator("#review-mask").click()
    review.page.wait_for_selector("#toolbar:not([hidden])")
    marked = pixels(review.mask())[..., 0] > 0
    assert marked[BOXES["SUMMER SALE 2026"]].mean() > 0.1
    assert not marked[rows, columns].any()


def test_a_picture_without_text_says_so(bench):
    bench.open(png(np.full((200, 300, 3), 180, np.uint8)))
    bench.page.keyboard.press("t")
    bench.page.wait_for_selector("#notices .notice")
    assert bench.notice().startswith("No text was found.")
    assert bench.page.locator("#review").is_hidden()
