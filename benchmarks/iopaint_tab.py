"""IOPaint's own page in a tab: what is pressed, what is painted, what it shows and sends."""

import base64
import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, Response, Route, ViewportSize

from benchmarks.page_pictures import save_screenshot

API = "/api/v1"
WINDOW = ViewportSize(width=1280, height=760)
SAME_ORIGIN_SOCKETS = "--disable-features=LocalNetworkAccessChecks"
"""Chromium takes a page whose files a script hands over for a foreign one, and keeps it from
WebSockets to this machine."""
SETTLE_MS = 600
"""What the page needs to draw a result, and dialogs to open."""
PATIENCE_S = 20.0
"""After an answer has come, until the page shows it."""
HOLE_ABOVE = 127
"""A grey value of the page's mask beyond this is repainted."""

Pixels = NDArray[np.uint8]


def web_app(python: Path) -> Path:
    """Where the IOPaint of an environment keeps its built page."""
    packages = python.absolute().parents[1].glob("lib/python3*/site-packages/iopaint/web_app")
    for folder in packages:
        return folder
    raise SystemExit(f"{python} has no IOPaint: python -m benchmarks.peer_setup FOLDER")


@dataclass
class Erased:
    """One POST /api/v1/inpaint, as the page sent it and as it shows the answer."""

    fields: dict[str, Any]
    before: Pixels
    hole: NDArray[np.bool_]
    after: Pixels
    model: str

    @classmethod
    def of(cls, response: Response, after: Pixels) -> "Erased":
        """Check that it went well, and that nothing outside of the hole has changed.

        Args:
            response: of the server.
            after: what the page shows now.
        """
        check(response.status == 200, f"inpaint answered {response.status}")
        fields: dict[str, Any] = response.request.post_data_json or {}
        before, mask = (decoded(fields[name]) for name in ("image", "mask"))
        hole = np.asarray(Image.fromarray(mask).convert("L")) > HOLE_ABOVE
        changed = (after != before).any(axis=2)
        check(0 < hole.mean() < 0.5, "the mask marks a part of the picture")
        check(not changed[~hole].any(), "pixels outside of the stroke are the photo's")
        check(changed[hole].mean() > 0.5, "the stroke is repainted")
        return cls(fields, before, hole, after, response.headers["x-model"])


@dataclass
class Tab:
    """One tab.

    Args:
        page: it, empty.
        output: for the screenshots.
        docs: for those that the documentation shows; None keeps what is there.
    """

    page: Page
    output: Path
    docs: Path | None
    shown: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def give_files(self, folder: Path) -> None:
        """Let the page's own files come out of `folder`; all else goes to the server."""
        files = {
            f"/{path.relative_to(folder).as_posix()}": path
            for path in folder.rglob("*")
            if path.is_file()
        }
        files["/"] = folder / "index.html"

        def give(route: Route) -> None:
            path = files.get(urlsplit(route.request.url).path)
            if path is None:
                route.continue_()
            else:
                route.fulfill(path=path)

        self.page.route("**/*", give)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def paint(self, points: tuple[tuple[int, int], ...], name: str) -> None:
        """Draw with the brush through points of the picture, and show it before it is lifted."""
        box = self.page.locator("canvas").first.bounding_box()
        if box is None:
            raise SystemExit("no picture is shown")
        scale = box["width"] / float(
            self.page.locator("canvas").first.evaluate("canvas => canvas.width")
        )
        places = [(box["x"] + scale * x, box["y"] + scale * y) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=20)
        self.show(name)
        self.page.mouse.up()

    def seen(self) -> Pixels:
        """The picture that the page shows, from its canvas."""
        url = self.page.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")
        return np.asarray(Image.fromarray(decoded(url)).convert("RGB"))

    def seen_after(self, before: Pixels) -> Pixels:
        """The next picture that it shows."""
        give_up = time.monotonic() + PATIENCE_S
        while np.array_equal(now := self.seen(), before):
            check(time.monotonic() < give_up, "the page shows the result")
            self.settle()
        return now

    def button(self, icon: str) -> Locator:
        """The button with one of the page's icons."""
        return self.page.locator(f"button:has(svg.lucide-{icon})").first

    def settle(self) -> None:
        """Wait until the page has drawn."""
        self.page.wait_for_timeout(SETTLE_MS)

    def show(self, name: str, in_docs: str | None = None) -> None:
        """Keep a screenshot."""
        self.shown.append(name)
        path = self.output / f"{len(self.shown):02}-{name.replace(',', '').replace(' ', '-')}.png"
        save_screenshot(self.page, path)
        if self.docs and in_docs:
            save_screenshot(self.page, self.docs / f"iopaint-page-{in_docs}.png")
        print(f"{len(self.shown):2} {name}", flush=True)


def check(fact: object, what: str) -> None:
    """End the script where something is not so."""
    if not fact:
        raise SystemExit(f"FAILED: {what}")


def decoded(url: str) -> Pixels:
    """The pixels of a data: URL."""
    return pixels(base64.b64decode(url.partition(",")[2]))


def pixels(data: bytes) -> Pixels:
    """As the file has them."""
    return np.asarray(Image.open(io.BytesIO(data)))


def png(image: Pixels) -> bytes:
    """A picture as a PNG."""
    made = io.BytesIO()
    Image.fromarray(image).save(made, "PNG")
    return made.getvalue()
