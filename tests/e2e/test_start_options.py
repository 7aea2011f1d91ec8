"""IOPaint's flags that save memory, from `python main.py start` to the pipeline that paints."""

import cv2
import httpx
import numpy as np
import pytest
import yaml

from benchmarks.servers import free_port
from deployments.weights.layout import HUB
from inpaint.params import DiffusionParams
from inpaint.resources import default_serve_config
from tests.conftest import pixels, png
from tests.e2e.test_command_line import READY_LIMIT_S, is_ready, started, wait_for
from tests.fake_steps import step_spec
from tests.models.painting import difference, load
from tests.serve.checkpoints import one_thread
from tests.standins.diffusion import write_folder, write_hub_folder

SD15 = "runwayml/stable-diffusion-inpainting"
FLAGS = ("--device=cpu", "--low-mem", "--no-half", "--cpu-textencoder", "--disable-nsfw-checker")
SEEN = {"low_mem": 1, "cpu_offload": 2, "cpu_textencoder": 4, "safety_checker off": 8, "fp16": 16}
"""How `Optioned` writes down what it was loaded with: the sum is the red of its pictures."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small checkpoint in the hub's cache; its model directory and its folder."""
    model_dir = tmp_path_factory.mktemp("models")
    folder = write_hub_folder(model_dir / HUB, SD15, lambda at: write_folder(at, width=4))
    return model_dir, folder


@pytest.fixture(scope="module")
def url(checkpoint, tmp_path_factory):
    """`python main.py start` with the flags, and beside the checkpoint a model that tells them."""
    own = tmp_path_factory.mktemp("own")
    reads = ("prompt", "sd_steps", "seed")
    entry = step_spec("seen", "Optioned", precisions=("fp32", "fp16"), reads=reads)
    entry = entry.model_copy(update={"family": "SD15"})
    dumped = entry.model_dump(mode="json", exclude_defaults=True)
    (own / "seen.yaml").write_text(yaml.safe_dump(dumped))
    document = yaml.safe_load(default_serve_config().read_text())
    application, _ = document["applications"]
    application["args"].update(
        model_folders=[str(own)],
        families=[{"deployment": "SD15", "kind": "diffusion", "device": "cuda"}],
    )
    kept = ("Ingress", "Registry", "SD15")
    application["deployments"] = [d for d in application["deployments"] if d["name"] in kept]
    [painters] = [d for d in application["deployments"] if d["name"] == "SD15"]
    del painters["autoscaling_config"], painters["ray_actor_options"]["num_gpus"]
    painters.update(num_replicas=1, user_config={"threads": 1})
    config = tmp_path_factory.mktemp("config") / "serve.yaml"
    config.write_text(yaml.safe_dump(document))
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    words = ("start", f"--serve-config={config}", f"--model={SD15}", f"--port={port}",
             f"--model-dir={checkpoint[0]}", "--local-files-only", *FLAGS)  # fmt: skip
    with started(*words) as process:
        wait_for(lambda: process.poll() is not None or is_ready(address), READY_LIMIT_S)
        assert process.poll() is None, "it did not start; see what these words print"
        yield address


@pytest.fixture(scope="module")
def picture():
    """(512, 512, 3) uint8 RGB and its mask: all of it, so that the model's own pixels come out."""
    coarse = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    image = cv2.resize(coarse, (512, 512), interpolation=cv2.INTER_CUBIC)
    return image, np.full((512, 512), 255, np.uint8)


def send(url, picture, **fields):
    files = dict(zip(("image", "mask"), map(png, picture), strict=True))
    usual = {"prompt": "a cat", "sd_steps": 1, "seed": 7, "sd_mask_blur": 0}
    answer = httpx.post(f"{url}/inpaint", files=files, data=usual | fields, timeout=200)
    assert answer.status_code == 200, answer.text[:500]
    return answer


def test_every_flag_reaches_what_is_loaded(url, picture):
    painted = pixels(send(url, picture, model="seen").content)
    wanted = SEEN["low_mem"] + SEEN["cpu_textencoder"] + SEEN["safety_checker off"]
    assert painted[0, 0].tolist() == [wanted, 0, 0]


def test_low_mem_reaches_the_pipeline(url, picture, checkpoint):
    """Its VAE then works in tiles, which shows in the pixels."""
    answer = send(url, picture)
    assert answer.headers["x-model"] == SD15
    painted = pixels(answer.content)
    params = DiffusionParams(prompt="a cat", sd_steps=1, seed=7)
    with one_thread():
        lean, plain = (
            load(checkpoint[1], low_mem=low_mem).paint(*picture, params, {}, lambda _: None)
            for low_mem in (True, False)
        )
    assert difference(painted, lean) < 0.3  # sums may be taken in another order
    assert difference(painted, plain) > 1


def test_without_the_network_a_missing_model_is_told_at_once(url, picture):
    files = dict(zip(("image", "mask"), map(png, picture), strict=True))
    data = {"model": "redstonehero/dreamshaper-inpainting"}
    answer = httpx.post(f"{url}/inpaint", files=files, data=data, timeout=60)
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/weights-missing"
    assert "download" in answer.json()["detail"]
