"""The page as a person uses it: places are the picture's own, downloads are bytes."""

from pathlib import Path

import httpx

REFUSALS = "Failed to load resource"
"""What Chromium writes for every answer of 4xx and 5xx, wanted or not."""


def watched(page, url):
    """A list that fills with what must not happen: errors, CSP violations, requests elsewhere."""
    problems = []

    def said(message):
        if message.type in ("error", "warning") and not message.text.startswith(REFUSALS):
            problems.append(message.text)

    def asked(request):
        if not request.url.startswith((url, "blob:" + url)):
            problems.append(f"asked {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", asked)
    return problems


class Workbench:
    """One page.

    Args:
        page: Playwright's, loaded.
        url: the server's.
        shots: the folder for screenshots, or None.
    """

    def __init__(self, page, url, shots):
        self.page = page
        self.url = url
        self._shots = shots

    def open(self, data, name="photo.png", media_type="image/png"):
        """Pick a file and wait until it is shown."""
        with self.page.expect_file_chooser() as chooser:
            self.page.locator("#open").click()
        chooser.value.set_files([{"name": name, "mimeType": media_type, "buffer": data}])
        self.page.wait_for_function(
            "name => document.querySelector('#file-name').textContent.startsWith(name) &&"
            " document.querySelector('#picture').complete",
            arg=name,
        )

    def choose(self, model):
        """Pick a model from the menu."""
        self.page.locator("#model").click()
        self.page.locator(f'[data-model="{model}"]').click()

    def at(self, x, y):
        """The place on the screen of a point of the picture."""
        box = self.page.locator("#sheet").bounding_box()
        scale = self.page.evaluate(
            "() => document.querySelector('#sheet').getBoundingClientRect().width /"
            " document.querySelector('#sheet').offsetWidth"
        )
        return box["x"] + x * scale, box["y"] + y * scale

    def drag(self, tool, *points):
        """Draw with a tool through points of the picture."""
        self.page.locator(f'[data-tool="{tool}"]').click()
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=8)
        self.page.mouse.up()

    def run(self):
        """Erase or paint, and wait for the result."""
        self.page.locator("#run").click()
        self.settle()

    def settle(self):
        """Wait until nothing runs."""
        self.page.wait_for_selector("body:not(.is-running)")

    def undo(self):
        self.page.locator("#undo").click()

    def download(self):
        """Name and bytes of what the download button gives."""
        return self._saved(lambda: self.page.locator("#download").click())

    def mask(self):
        """The mask as the page saves it: PNG bytes."""
        return self._saved(lambda: self.mask_menu("mask.download"))[1]

    def mask_menu(self, item):
        self.page.locator("#mask-menu-button").click()
        self.page.locator(f'#mask-menu [data-key="{item}"]').click()

    def upload_mask(self, data):
        with self.page.expect_file_chooser() as chooser:
            self.mask_menu("mask.upload")
        chooser.value.set_files([{"name": "mask.png", "mimeType": "image/png", "buffer": data}])
        self.page.wait_for_selector("#undo:not([disabled])")

    def notice(self):
        """What is shown of an error."""
        return self.page.locator("#notices").inner_text()

    def shoot(self, name):
        """Keep a picture of the page, where one is wanted."""
        if self._shots is not None:
            self.page.screenshot(path=str(self._shots / f"{name}.png"))

    def inpaint(self, image, mask, **fields):
        """What the API answers to the same."""
        answer = httpx.post(
            f"{self.url}/inpaint", files={"image": image, "mask": mask}, data=fields, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return answer.content

    def _saved(self, act):
        with self.page.expect_download() as download:
            act()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()
