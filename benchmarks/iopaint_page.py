"""IOPaint's own page, as it is, at work with this server.

    python -m benchmarks.iopaint_page --peer-python ~/peer/bin/python [--docs]

Starts the shipped config, gives Chromium the page out of the installed IOPaint 1.6 and lets
everything else reach this server. Then loads a photo, paints, erases, changes settings, switches
the model, saves, removes text by the plugin, and opens a picture from the file manager. What came
back is checked at each step; a screenshot of each is in benchmarks/results/iopaint-page/.

lama runs on stand-in weights, which fill holes with noise: what is proved is who answered, and
which pixels it changed.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import yaml
from playwright.sync_api import FilePayload, Response, sync_playwright

from benchmarks.iopaint_tab import (
    API,
    SAME_ORIGIN_SOCKETS,
    WINDOW,
    Erased,
    Pixels,
    Tab,
    check,
    pixels,
    png,
    web_app,
)
from benchmarks.page_pictures import MAST, launched, poster, rocket
from benchmarks.servers import ROOT, serve_run
from inpaint.resources import default_serve_config
from tests.standins import md5_of
from tests.standins.lama import write_lama_torchscript


def main() -> None:
    """Start, work, check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-python", type=Path, required=True)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "iopaint-page"
    )
    parser.add_argument("--docs", action="store_true", help="keep some of them in docs/images")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="iopaint-page-") as folder,
        _served(Path(folder)) as url,
        sync_playwright() as playwright,
    ):
        browser = launched(playwright, SAME_ORIGIN_SOCKETS)
        docs = ROOT / "docs" / "images" if options.docs else None
        tab = Tab(browser.new_context(viewport=WINDOW).new_page(), options.output, docs)
        tab.give_files(web_app(options.peer_python))
        Work(tab, url, Path(folder)).all()
        browser.close()
    print(f"All is well: {len(tab.shown)} screenshots in {options.output}")


@contextmanager
def _served(root: Path) -> Iterator[str]:
    """The shipped config with stand-in weights of lama, and a folder for each tab."""
    for name in ("input", "output", "mask", "torch/hub/checkpoints"):
        (root / name).mkdir(parents=True)
    (root / "input" / "rocket.png").write_bytes(rocket())
    weights = write_lama_torchscript(
        root / "torch/hub/checkpoints" / "big-lama.pt", ngf=8, blocks=3
    )
    document: dict[str, Any] = yaml.safe_load(default_serve_config().read_text())
    args = document["applications"][0]["args"]
    args |= {"local_files_only": True, "default_models": ["cv2"]}
    folders = {"input": "input", "output_dir": "output", "mask_dir": "mask"}
    args["iopaint"] = {
        **args.get("iopaint", {}),
        **{key: str(root / name) for key, name in folders.items()},
    }
    env = {"LAMA_MODEL_MD5": md5_of(weights), "XDG_CACHE_HOME": str(root)}
    with serve_run(document, "/readyz", env) as server:
        yield server.url


@dataclass
class Work:
    """What a person would do, step by step.

    Args:
        tab: an empty one.
        url: the server.
        folder: has the server's folders.
    """

    tab: Tab
    url: str
    folder: Path

    def all(self) -> None:
        """Every step. Each goes on where the last one ended."""
        self.tab.page.goto(self.url)
        self.tab.page.wait_for_load_state("networkidle")
        self.load("rocket.png", rocket())
        self.tab.show("loaded")
        photo = self.erase_at_once()
        erased = self.switch_model_and_erase(photo)
        self.save("rocket", erased)
        self.load("poster.png", poster())
        self.remove_text_by_mask()
        self.load("poster.png", poster())
        self.remove_text_at_once()
        self.open_from_the_file_manager()
        check(not self.tab.faults, f"the page raised no error: {self.tab.faults}")

    def load(self, name: str, picture: bytes) -> None:
        """Open a picture from this machine; the page asks for its prompt."""
        file = FilePayload(name=name, mimeType="image/png", buffer=picture)
        with self.tab.page.expect_response(f"**{API}/gen-info") as answer:
            self.tab.page.locator("input[type=file]").first.set_input_files([file])
        check(answer.value.status == 200, "gen-info is answered")
        self.tab.settle()
        check(np.array_equal(self.tab.seen(), pixels(picture)), "the picture is shown")

    def erase_at_once(self) -> Pixels:
        """Change an option of the model, and paint: the page erases as the brush is lifted."""
        self.tab.page.get_by_role("combobox").first.click()
        self.tab.page.get_by_role("option", name="INPAINT_TELEA").click()
        self.tab.show("option")
        with self.tab.page.expect_response(f"**{API}/inpaint") as answer:
            self.tab.paint(MAST, "painting")
        erased = Erased.of(answer.value, self.tab.seen_after(pixels(rocket())))
        check(erased.model == "cv2", "cv2 answers")
        check(erased.fields["cv2_flag"] == "INPAINT_TELEA", "the option is sent")
        check(np.array_equal(erased.before, pixels(rocket())), "the photo is sent")
        check(np.array_equal(erased.after, self.native(erased)), "POST /inpaint gives the same")
        self.tab.show("erased")
        return erased.after

    def native(self, erased: Erased) -> Pixels:
        """What the native API makes of the same picture, mask and options."""
        files = {
            "image": png(erased.before),
            "mask": png(np.where(erased.hole, np.uint8(255), np.uint8(0))),
        }
        fields = {name: erased.fields[name] for name in ("cv2_flag", "cv2_radius")}
        answer = httpx.post(
            f"{self.url}/inpaint", files=files, data={"model": "cv2", **fields}, timeout=60
        )
        check(answer.status_code == 200, f"POST /inpaint answered {answer.text}")
        return pixels(answer.content)

    def switch_model_and_erase(self, photo: Pixels) -> Pixels:
        """Choose another model, and to erase at a button, in the settings; then do."""
        self.switch_to("lama", manual=True)
        told = httpx.get(f"{self.url}{API}/model").json()["name"]
        check(told == "lama", "the default model is lama for everybody")
        self.tab.paint(tuple((x - 220, y) for x, y in MAST), "painting for lama")
        erased = self.press_eraser()
        check(erased.model == "lama", "lama answers")
        check(np.array_equal(erased.before, photo), "the last result is sent")
        self.tab.show("erased by lama")
        return erased.after

    def switch_to(self, model: str, *, manual: bool = False) -> None:
        """Choose a model in the settings; `manual`: erase at a button from now on."""
        self.tab.button("settings").click()
        self.tab.settle()
        dialog = self.tab.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Model").click()
        dialog.get_by_text(model, exact=True).last.click()
        self.tab.show(f"settings {model}")
        if manual:
            dialog.get_by_role("button", name="General").click()
            dialog.get_by_role("switch").first.click()
            self.tab.show("settings general")
        with self.tab.page.expect_response(_is_switch) as answer:
            dialog.get_by_role("button", name="Ok").click()
        check(answer.value.json()["name"] == model, "the switch is confirmed")
        self.tab.page.get_by_text(f"Switch to {model} success", exact=True).wait_for()
        self.tab.settle()

    def save(self, name: str, erased: Pixels) -> None:
        """Save: the picture is in the output folder as the page has it."""
        with self.tab.page.expect_response(f"**{API}/save_image") as answer:
            self.tab.button("download").click()
        check(answer.value.status == 200, "save_image is answered")
        (path,) = (self.folder / "output").glob(f"{name}*")
        check(np.array_equal(pixels(path.read_bytes()), erased), "the saved file is the result")
        self.tab.settle()
        self.tab.show("saved")

    def remove_text_by_mask(self) -> None:
        """Let the plugin mark the text, and erase what it marked."""
        self.switch_to("cv2")
        check(len(self.words(poster())) == 2, "there are two lines to be read")
        self.run_plugin("Generate Mask", "run_plugin_gen_mask")
        self.tab.show("text marked", "mask")
        erased = self.press_eraser()
        check(erased.model == "cv2", "cv2 answers")
        check(not self.words(png(erased.after)), "no text can be read any more")
        self.tab.show("text erased", "erased")
        self.save("poster", erased.after)

    def remove_text_at_once(self) -> None:
        """The plugin's other entry: the picture without its text."""
        self.run_plugin("Remove Background", "run_plugin_gen_image")
        after = self.tab.seen_after(pixels(poster()))
        check(not self.words(png(after)), "no text can be read any more")
        self.tab.show("text removed at once")

    def run_plugin(self, entry: str, route: str) -> None:
        """Choose an entry of the plugin's menu."""
        self.tab.page.locator("button[aria-haspopup=menu]").click()
        self.tab.page.get_by_text("Anime Segmentation").click()
        self.tab.page.get_by_text(entry).wait_for()
        self.tab.show(f"menu {entry}", "plugin" if entry == "Generate Mask" else None)
        with self.tab.page.expect_response(f"**{API}/{route}") as answer:
            self.tab.page.get_by_text(entry).click()
        check(answer.value.status == 200, f"{route} answered {answer.value.status}")
        self.tab.page.get_by_text("Run AnimeSeg successfully").first.wait_for()
        self.tab.settle()

    def open_from_the_file_manager(self) -> None:
        """See what was saved, and open a picture of the input folder."""
        self.tab.button("folder-closed").click()
        thumbnails = self.tab.page.get_by_role("dialog").locator("img")
        thumbnails.first.wait_for()
        self.tab.page.get_by_role("tab", name="Output Directory").click()
        thumbnails.nth(1).wait_for()
        saved = len(list((self.folder / "output").iterdir()))
        check(thumbnails.count() == saved == 2, "both saved pictures are shown")
        self.tab.settle()
        self.tab.show("file manager, output")
        self.tab.page.get_by_role("tab", name="Image Directory").click()
        self.tab.page.locator('img[src*="rocket.png"][src*="tab=input"]').wait_for()
        before = self.tab.seen()
        with self.tab.page.expect_response(f"**{API}/media_file?*") as answer:
            thumbnails.first.click()
        check(answer.value.status == 200, "media_file is answered")
        self.tab.page.get_by_text("640x427").wait_for()
        opened = self.tab.seen_after(before)
        check(np.array_equal(opened, pixels(rocket())), "the photo is opened")
        self.tab.settle()
        self.tab.show("opened from the file manager")

    def press_eraser(self) -> Erased:
        """Erase what is marked."""
        before = self.tab.seen()
        with self.tab.page.expect_response(f"**{API}/inpaint") as answer:
            self.tab.button("eraser").click()
        return Erased.of(answer.value, self.tab.seen_after(before))

    def words(self, picture: bytes) -> list[str]:
        """What can be read in a picture; single signs are none, such as an 8 in a cup's handle."""
        answer = httpx.post(f"{self.url}/ocr", files={"image": picture}, timeout=60)
        texts = [region["text"] for region in answer.json()["regions"]]
        return [text for text in texts if sum(map(str.isalpha, text)) > 1]


def _is_switch(response: Response) -> bool:
    return response.request.method == "POST" and urlsplit(response.url).path == f"{API}/model"


if __name__ == "__main__":
    main()
