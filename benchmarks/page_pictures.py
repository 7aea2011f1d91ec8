"""Takes the pictures of the web page that the documentation shows.

Run: python -m benchmarks.page_pictures

Starts the shipped config, which needs no weights and no network, and works in it as a person would,
in the Chromium of this machine. Writes docs/images/page-*.png.
"""

import argparse
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, FilePayload, Page, Playwright, sync_playwright
from skimage import data

from benchmarks.servers import ROOT, serve_run
from inpaint.resources import default_serve_config

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 1.75,
    "is_mobile": True,
    "has_touch": True,
}
COLOURS = 160
"""Of the palette: such pictures then weigh a third."""
LINES = (("FRESH COFFEE", (36, 28), 46), ("every day from 7", (40, 330), 26))
MAST = ((446, 112), (446, 200), (448, 300), (450, 372))
"""Along which points a mast stands in the photo of the rocket."""
ASIDE = (300, 28)
"""A place for the mouse where it shows no tip and no brush."""


def main() -> None:
    """Start, take, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="of a server that runs; absent: one is started")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    if options.url:
        take_all(options.url, options.output)
        return
    document = yaml.safe_load(default_serve_config().read_text())
    document["applications"][0]["args"]["local_files_only"] = True
    with serve_run(document, "/readyz") as server:
        take_all(server.url, options.output)


def take_all(url: str, folder: Path) -> None:
    """All pictures of the page at `url`."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = opened(browser, url, rocket(), DESKTOP, "dark")
        stroke(page, MAST)
        write(page, folder / "page-paint.png")
        erase(page)
        page.locator("#compare").click()
        write(page, folder / "page-compare.png")
        page = opened(browser, url, poster(), DESKTOP, "light")
        page.locator("#find-text").click()
        page.wait_for_selector("#review:not([hidden])")
        page.locator("#region-list input").last.uncheck()
        write(page, folder / "page-text.png")
        page = opened(browser, url, poster(), PHONE, "dark")
        page.locator("#find-text").click()
        page.wait_for_selector("#review:not([hidden])")
        page.locator("#review-run").click()
        page.wait_for_selector(".moment >> nth=1")
        write(page, folder / "page-phone.png")
        browser.close()


def launched(playwright: Playwright, *flags: str) -> Browser:
    """The Chromium of this machine."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SystemExit("There is no Chromium: apt-get install chromium")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *flags])


def opened(
    browser: Browser,
    url: str,
    picture: bytes,
    window: Mapping[str, Any],
    theme: Literal["dark", "light"],
) -> Page:
    """The page in a window of its own, with a picture open."""
    page = browser.new_context(**window, color_scheme=theme, locale="en-US").new_page()
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    file = FilePayload(name="photo.png", mimeType="image/png", buffer=picture)
    with page.expect_file_chooser() as chooser:
        page.locator("#open").click()
    chooser.value.set_files([file])
    page.wait_for_selector("#board:not([hidden])")
    page.wait_for_timeout(500)
    return page


def stroke(page: Page, points: tuple[tuple[int, int], ...]) -> None:
    """Draw with the brush through points of the picture."""
    page.locator("#brush-size").fill("46")
    box = page.locator("#sheet").bounding_box()
    if box is None:
        raise RuntimeError("no picture is shown")
    scale = box["width"] / page.locator("#picture").evaluate("image => image.naturalWidth")
    places = [(box["x"] + scale * x, box["y"] + scale * y) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=30)
    page.mouse.up()


def erase(page: Page) -> None:
    """Erase, and wait for the result."""
    page.locator("#run").click()
    page.wait_for_selector(".moment >> nth=1")


def write(page: Page, path: Path) -> None:
    """Keep the page as it looks, in a palette."""
    if not page.locator("#brush-ring").is_visible():
        page.mouse.move(*ASIDE)
    page.wait_for_timeout(700)  # thumbnails, transitions
    save_screenshot(page, path)


def save_screenshot(page: Page, path: Path) -> None:
    """The page as it is now, in a palette."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(COLOURS).save(path, optimize=True)


def rocket() -> bytes:
    """A photo of a rocket and a mast, as a PNG."""
    return _png(Image.fromarray(data.rocket()))


def poster() -> bytes:
    """A photo with two lines of writing, as a PNG."""
    image = Image.fromarray(data.coffee())
    pen = ImageDraw.Draw(image)
    for text, place, size in LINES:
        font = ImageFont.load_default(size)
        pen.text(place, text, font=font, fill="white", stroke_width=1, stroke_fill="black")
    return _png(image)


def _png(image: Image.Image) -> bytes:
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()


if __name__ == "__main__":
    main()
