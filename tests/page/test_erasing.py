"""Marking and erasing: the page sends what was opened, and hands out what was answered."""

import io

import cv2
import numpy as np
from PIL import Image
from skimage import data

from tests.conftest import pixels, png

PHOTO = data.astronaut()


def jpeg(array, **options):
    made = io.BytesIO()
    Image.fromarray(array).save(made, "JPEG", quality=90, **options)
    return made.getvalue()


def marked_by(mask):
    """(H, W) bool of a saved mask, which is black and white and opaque."""
    image = pixels(mask)
    assert set(np.unique(image[..., :3])) <= {0, 255}
    return image[..., 0] > 0


def edges_of(marked):
    rows, columns = np.nonzero(marked)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_the_downloaded_file_is_the_apis_answer_to_the_painted_mask(bench):
    bench.open(png(PHOTO), "portrait.png")
    bench.drag("rect", (300, 100), (420, 180))
    mask = bench.mask()
    marked = marked_by(mask)
    assert marked.shape == PHOTO.shape[:2]
    np.testing.assert_allclose(edges_of(marked), (300, 100, 420, 180), atol=1)
    bench.shoot("painted")
    bench.run()
    name, result = bench.download()
    assert name == "portrait-cleaned.png"
    assert result == bench.inpaint(png(PHOTO), mask, model="cv2")
    assert np.any(pixels(result) != PHOTO)
    bench.page.locator("#compare").click()
    bench.shoot("compared")


def test_a_jpeg_stays_one_and_the_second_run_begins_where_the_first_ended(bench):
    photo = jpeg(PHOTO)
    bench.open(photo, "portrait.jpg", "image/jpeg")
    bench.drag("rect", (50, 50), (150, 90))
    first_mask = bench.mask()
    bench.run()
    bench.drag("lasso", (300, 300), (380, 320), (330, 400), (300, 300))
    second_mask = bench.mask()
    assert not marked_by(second_mask)[50:90, 50:150].any()
    bench.run()
    first = bench.inpaint(photo, first_mask, model="cv2")
    name, result = bench.download()
    assert name == "portrait-cleaned.jpg"
    assert result == bench.inpaint(first, second_mask, model="cv2")


def test_a_turned_photo_is_marked_where_it_is_seen(bench):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    stored = np.ascontiguousarray(PHOTO[:300])  # 512 wide, 300 high; upright it is 300 x 512
    photo = jpeg(stored, exif=exif)
    bench.open(photo, "turned.jpg", "image/jpeg")
    bench.drag("rect", (20, 400), (120, 500))
    mask = bench.mask()
    marked = marked_by(mask)
    assert marked.shape == (512, 300)
    np.testing.assert_allclose(edges_of(marked), (20, 400, 120, 500), atol=1)
    bench.run()
    _, result = bench.download()
    assert result == bench.inpaint(photo, mask, model="cv2")
    assert pixels(result).shape[:2] == (512, 300)


def test_undo_and_redo_go_through_strokes_and_results(bench):
    photo = png(PHOTO)
    bench.open(photo)
    bench.drag("brush", (100, 100), (200, 100))
    first = bench.mask()
    bench.drag("eraser", (100, 100), (150, 100))
    second = bench.mask()
    assert 0 < np.count_nonzero(marked_by(second)) < np.count_nonzero(marked_by(first))
    bench.run()
    _, erased = bench.download()
    assert erased != photo
    bench.undo()
    assert bench.download() == ("photo.png", photo)
    assert bench.mask() == second
    bench.page.keyboard.press("Control+z")
    assert bench.mask() == first
    for _ in range(2):
        bench.page.keyboard.press("Control+Shift+Z")
    assert bench.download()[1] == erased
    bench.page.locator(".moment").first.click()
    assert bench.download()[1] == photo


def test_a_mask_can_be_loaded_grown_shrunk_and_inverted(bench, rng):
    drawn = (cv2.resize(rng.random((8, 8)), (512, 512)) > 0.6).astype(np.uint8)
    bench.open(png(PHOTO))
    bench.upload_mask(png(255 * drawn))
    np.testing.assert_array_equal(marked_by(bench.mask()), drawn > 0)
    bench.mask_menu("mask.grow")
    away = cv2.distanceTransform(1 - drawn, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    np.testing.assert_array_equal(marked_by(bench.mask()), away <= 6)
    bench.undo()
    bench.mask_menu("mask.shrink")
    inside = cv2.distanceTransform(drawn, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    np.testing.assert_array_equal(marked_by(bench.mask()), inside > 6)
    bench.undo()
    bench.mask_menu("mask.invert")
    np.testing.assert_array_equal(marked_by(bench.mask()), drawn == 0)


def test_a_run_begins_when_the_brush_lifts_if_it_is_told_to(bench):
    bench.open(png(PHOTO))
    bench.page.get_by_label("Run when the brush lifts").check()
    bench.drag("brush", (200, 200), (240, 220))
    bench.page.wait_for_selector(".moment:nth-child(1)")
    bench.settle()
    assert bench.download()[0] == "photo-cleaned.png"


def test_the_keyboard_alone_marks_and_erases(bench):
    bench.open(png(PHOTO))
    bench.page.locator("#board").focus()
    for key in ("3", "Enter", "Shift+ArrowRight", "Shift+ArrowDown", "Enter"):
        bench.page.keyboard.press(key)
        bench.page.locator("#board").focus()
    left, top, right, bottom = edges_of(marked_by(bench.mask()))
    assert (left, top) == (256, 256)  # where the pen begins
    assert right > left
    assert bottom > top
    bench.page.locator("#run").focus()
    bench.page.keyboard.press("Enter")
    bench.page.wait_for_selector(".moment >> nth=1")
    bench.settle()
    assert bench.page.evaluate("() => document.activeElement.id") == "run"
    assert bench.download()[0] == "photo-cleaned.png"
