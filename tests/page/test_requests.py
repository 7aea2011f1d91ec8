"""Models, progress, cancelling, refusals and keys: what happens between the page and the server."""

import hashlib
import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import uvicorn
import yaml
from skimage import data

from benchmarks.servers import free_port
from inpaint.settings import AccessArgs
from serve_app.api import create_api
from tests.conftest import pixels, png
from tests.local_service import LocalService

PHOTO = data.astronaut()[:256, :384].copy()
TIMES = "\N{MULTIPLICATION SIGN}"
KEY = "a-key-of-the-tests"


@pytest.fixture
def painted(bench):
    """The page with a photo, a part of which is marked."""
    bench.open(png(PHOTO))
    bench.drag("rect", (100, 100), (160, 140))
    return bench


def test_another_model_erases_with_settings_of_its_own(painted):
    painted.page.locator("#model").click()
    families = painted.page.locator(".family h3").all_inner_texts()
    assert families == ["Erase", "Narrow", "Steps"]
    card = painted.page.locator('[data-model="lama"]')
    assert "Apache-2.0" in card.inner_text()
    assert "weights not here yet" in card.inner_text()
    painted.shoot("models")
    painted.page.locator('[data-model="slow"]').click()
    assert painted.page.get_by_label("Algorithm").count() == 0  # OpenCV's own
    assert painted.page.get_by_text("Strategy").is_visible()
    mask = painted.mask()
    painted.run()
    _, result = painted.download()
    # It sees nothing but this picture, and fills with the mean of what is kept.
    hole = pixels(mask)[..., 0] > 0
    mean = PHOTO[~hole].mean(axis=0).round()
    np.testing.assert_array_equal(pixels(result)[hole], np.broadcast_to(mean, (hole.sum(), 3)))
    np.testing.assert_array_equal(pixels(result)[~hole], PHOTO[~hole])


def test_a_model_can_be_made_the_default_for_everyone(bench):
    bench.choose("slow")
    bench.page.locator("#model").click()
    bench.page.get_by_role("button", name="Make this the default for everyone").click()
    bench.page.get_by_text("slow now answers requests that name no model.").wait_for()
    listed = httpx.get(f"{bench.url}/models").json()["default"]
    httpx.post(f"{bench.url}/api/v1/model", json={"name": "cv2"})
    assert listed == "slow"


def test_a_setting_reaches_the_api(painted):
    painted.page.get_by_role("radio", name="Telea").click()
    painted.page.get_by_label("Radius (px)").fill("9")
    painted.page.get_by_label("Radius (px)").press("Tab")
    mask = painted.mask()
    painted.run()
    asked = {"model": "cv2", "cv2_flag": "INPAINT_TELEA", "cv2_radius": "9"}
    assert painted.download()[1] == painted.inpaint(png(PHOTO), mask, **asked)


def steps_of(scratch, prompt):
    log = scratch / "steps.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [int(line.split("\t")[1]) for line in lines if line.split("\t")[0] == prompt]


def test_a_run_of_many_steps_shows_its_progress_and_can_be_cancelled(painted, scratch):
    painted.choose("steps")
    painted.page.locator("#prompt").fill("cancel me")
    steps = painted.page.get_by_label("Steps")
    steps.fill("120")
    steps.press("Tab")
    painted.page.locator("#run").click()
    painted.page.wait_for_selector("#progress-bar[aria-valuenow]")
    painted.shoot("painting")
    assert painted.page.locator("#progress-text").inner_text().endswith("of 120")
    painted.page.locator("#cancel").click()
    painted.settle()
    time.sleep(1.2)  # four steps
    ended_at = len(steps_of(scratch, "cancel me"))
    time.sleep(1.2)
    assert len(steps_of(scratch, "cancel me")) == ended_at < 100
    assert painted.page.locator("#notices .notice").count() == 0
    assert painted.download() == ("photo.png", png(PHOTO))


def test_a_painted_picture_is_the_streams_and_is_the_same_for_the_same_seed(painted):
    painted.choose("steps")
    for label, value in (("Steps", "3"), ("Seed", "5"), ("Feather (px)", "0")):
        field = painted.page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Tab")
    mask = painted.mask()
    painted.page.locator("#prompt").fill("noise")
    painted.page.locator("#prompt").press("Enter")
    painted.page.wait_for_selector(".moment >> nth=1")
    painted.settle()
    asked = {"model": "steps", "prompt": "noise", "sd_steps": 3, "seed": 5, "sd_mask_blur": 0}
    assert painted.download()[1] == painted.inpaint(png(PHOTO), mask, **asked)


def test_a_box_drawn_beyond_the_picture_extends_it(painted):
    page = painted.page
    painted.choose("steps")
    page.get_by_label("Paint beyond the picture").check()
    assert page.locator(".frame-size").inner_text() == f"480 {TIMES} 320"
    for label, value in (("Steps", "2"), ("Seed", "3"), ("Left", "-20")):
        field = page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Tab")
    mask = painted.mask()
    painted.run()
    page.wait_for_selector(".moment >> nth=1")
    box = {"x": -20, "y": -32, "width": 480, "height": 320}
    asked = {f"extender_{part}": value for part, value in box.items()}
    asked |= {"use_extender": True, "model": "steps", "sd_steps": 2, "seed": 3}
    result = painted.download()[1]
    assert result == painted.inpaint(png(PHOTO), mask, **asked)
    assert pixels(result).shape == (320, 480, 3)
    assert not page.get_by_label("Paint beyond the picture").is_checked()
    page.locator("#compare").click()
    painted.shoot("extended")


@contextmanager
def crowd(url, mask):
    """Other people's requests, which fill the queue of the family Narrow until the block ends."""
    ended = threading.Event()

    def ask():
        while not ended.is_set():
            files = {"image": png(PHOTO), "mask": mask}
            httpx.post(f"{url}/inpaint", files=files, data={"model": "slow"}, timeout=60)

    people = [threading.Thread(target=ask) for _ in range(6)]
    for person in people:
        person.start()
    try:
        yield
    finally:
        ended.set()
        for person in people:
            person.join()


def test_a_busy_server_is_said_to_be_and_asked_again(painted):
    painted.choose("slow")
    mask = painted.mask()
    with crowd(painted.url, mask):
        for _ in range(10):  # now and then a place in the queue is free
            painted.run()
            if painted.page.locator(".notice.is-bad").count():
                break
            painted.undo()
        assert painted.notice().startswith("The server is busy.")
        retry = painted.page.locator(".notice-actions button")
        assert retry.is_disabled()
        assert retry.inner_text().startswith("Try again in ")
        painted.shoot("busy")
        assert painted.mask() == mask  # nothing is lost
    retry.click()  # waits until it can be
    painted.page.wait_for_selector(".moment >> nth=1")
    painted.settle()
    assert painted.page.locator(".notice").count() == 0


@pytest.fixture
def guarded(tmp_path):
    """Address of a server that asks for a key."""
    keys = tmp_path / "keys.yaml"
    entry = {"name": "tests", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}
    keys.write_text(yaml.safe_dump({"keys": [entry]}))
    service = LocalService(tmp_path / "models")
    app = create_api(service.gateway, access=AccessArgs(auth="required", api_keys=keys))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


def test_a_key_is_asked_for_kept_for_the_tab_and_sent(guarded, browser):
    page = browser.new_context(locale="en-US").new_page()
    page.goto(guarded)
    page.get_by_label("This server wants a key").fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("The server does not know that key.").wait_for()
    page.get_by_label("This server wants a key").fill(KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready]")
    assert page.locator("#model-name").inner_text() == "cv2"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator("dialog").count() == 0
    assert page.evaluate("() => Object.values(localStorage).join()").count(KEY) == 0
    page.context.close()
