"""A real Chromium before a real `serve run`, with slow models of the tests' own.

Skips where there is no Chromium: `apt-get install chromium`, or CHROMIUM names one. Screenshots go
to the folder that PAGE_SCREENSHOTS names, if it names one.
"""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import sync_playwright

from benchmarks.servers import serve_run
from inpaint.resources import default_serve_config
from tests.local_service import OWN_MODELS
from tests.page.workbench import Workbench, watched

PATIENCE_MS = 60_000
"""A busy machine is no defect."""
KEPT = ("Ingress", "Registry", "Erase", "OCR")
SMALL = {"num_replicas": 1, "ray_actor_options": {"num_cpus": 0.1}}


def chromium_path():
    return (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )


def page_config():
    """The shipped config with two slow families, and without those that want a GPU."""
    document = yaml.safe_load(default_serve_config().read_text())
    application = document["applications"][0]
    application["args"].update(
        local_files_only=True,
        model_folders=[str(OWN_MODELS)],
        families=[
            {"deployment": "Erase", "kind": "erase", "device": "cpu"},
            {"deployment": "OCR", "kind": "ocr", "device": "cpu", "models": ["pp-ocrv6-small"]},
            {"deployment": "Narrow", "kind": "erase", "device": "cpu"},
            {"deployment": "Steps", "kind": "diffusion", "device": "cpu", "models": ["steps"]},
        ],
    )
    entries = [entry for entry in application["deployments"] if entry["name"] in KEPT]
    busy = {"max_ongoing_requests": 1, "max_queued_requests": 1, **SMALL}
    refusing = {"backpressure_config": {"status_code": 503, "retry_after_s": 2}}
    application["deployments"] = [
        *entries,
        {"name": "Narrow", **busy, **refusing},
        {"name": "Steps", **busy, **refusing},
    ]
    return document


@pytest.fixture(scope="package")
def scratch(tmp_path_factory):
    """Where the slow models write down what they do."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="package")
def server(scratch, tmp_path_factory, browser):
    environment = {
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "RAY_AUTH_MODE": "disabled",
        "AWKWARD_MODELS_SCRATCH": str(scratch),
        "AWKWARD_MODELS_SLOW_S": "1.5",
        "STEPS_MODEL_STEP_S": "0.3",
    }
    with serve_run(page_config(), "/readyz", environment) as running:
        yield running


@pytest.fixture(scope="package")
def browser():
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def shots():
    """Where pictures of the page are kept; None: nowhere."""
    folder = os.environ.get("PAGE_SCREENSHOTS")
    if folder is None:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture
def open_page(browser, server, shots):
    """Opens the page in a context of its own; at the end nothing may have gone wrong in it."""
    opened = []

    def open_it(url=server.url, **options):
        settings = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options}
        context = browser.new_context(**settings)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        opened.append((context, watched(page, url)))
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        return Workbench(page, url, shots)

    yield open_it
    for context, _ in opened:
        context.close()
    assert [problem for _, problems in opened for problem in problems] == []


@pytest.fixture
def bench(open_page):
    """The page, in English, in a window of 1280x800."""
    return open_page()
