"""Our pixels against a real IOPaint's, on the same weights and pictures.

IOPaint 1.6 (PyPI) needs an environment of its own: it pins an old Pillow, numpy and diffusers.
Name that environment's interpreter; the script starts IOPaint from it on stand-in weights, sends
the same requests to both, and prints the largest difference per strategy.

    python -m benchmarks.parity --peer-python ~/peer/bin/python

Where no tiles overlap the difference should be 0, and at most 1 level for networks. Overlapping
holes are shown apart: IOPaint repaints each contour by itself and lets the later one win, here
their tiles are merged.
"""

import argparse
import base64
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import yaml

from benchmarks import pictures
from benchmarks.servers import end, free_port, serve_run
from inpaint.arrays import Image, Mask, Size
from inpaint.resources import default_serve_config
from tests.standins import md5_of
from tests.standins.lama import write_lama_torchscript

STRATEGIES: dict[str, dict[str, str | int]] = {
    "Original": {},
    "Crop": {"hd_strategy_crop_trigger_size": 128, "hd_strategy_crop_margin": 32},
    "Resize": {"hd_strategy_resize_limit": 200},
}
"""Limits lowered so that each strategy acts on small pictures."""

MODELS: dict[str, list[dict[str, str | int]]] = {
    "cv2": [
        {"cv2_flag": "INPAINT_NS", "cv2_radius": 4},
        {"cv2_flag": "INPAINT_TELEA", "cv2_radius": 7},
    ],
    "lama": [{}],
}
PEER_START_LIMIT_S = 180


@dataclass(frozen=True)
class Scene:
    """A picture and its mask."""

    name: str
    image: Image
    mask: Mask


def scenes() -> list[Scene]:
    """Several sizes, odd ones too, with holes near and far, at edges, of any shape."""
    made = [
        Scene(f"{name} {size[1]}x{size[0]}", pictures.photo(size), make(size))
        for size in ((256, 384), (333, 251), (90, 700))
        for name, make in (("one", _one), ("two far", _two_far), ("edge", _edge), ("odd", _odd))
    ]
    return [*made, Scene("overlapping 384x256", pictures.photo((256, 384)), _near((256, 384)))]


def _one(size: Size) -> Mask:
    return pictures.one_hole(size, 40)


def _two_far(size: Size) -> Mask:
    mask = np.zeros(size, np.uint8)
    mask[5:15, 4:14] = mask[-16:-6, -20:-8] = 255
    return mask


def _edge(size: Size) -> Mask:
    mask = np.zeros(size, np.uint8)
    mask[:20, -30:] = 255
    return mask


def _odd(size: Size) -> Mask:
    mask = np.zeros(size, np.uint8)
    centre = (size[1] // 2, size[0] // 2)
    cv2.ellipse(mask, centre, (31, 17), 30, 0, 360, (255,), -1)
    return mask


def _near(size: Size) -> Mask:
    mask = np.zeros(size, np.uint8)
    for left in range(60, 300, 40):
        mask[100:125, left : left + 15] = 255
    return mask


@contextmanager
def peer(python: Path, model: str, cache: Path, env: Mapping[str, str]) -> Iterator[str]:
    """A real `iopaint start`, until the block ends; gives its address."""
    port = free_port()
    command = [str(python.with_name("iopaint")), "start", f"--model={model}", "--device=cpu"]
    own = {"XDG_CACHE_HOME": str(cache), "MPLCONFIGDIR": str(cache), "HF_HUB_OFFLINE": "1"}
    with (cache / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            [str(python), *command, f"--port={port}"],
            env={**os.environ, **own, **env},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            give_up = time.monotonic() + PEER_START_LIMIT_S
            while time.monotonic() < give_up and process.poll() is None:
                try:
                    httpx.get(f"{url}/api/v1/model", timeout=5)
                    break
                except httpx.HTTPError:
                    time.sleep(0.5)
            else:
                raise RuntimeError((cache / "peer.log").read_text()[-3000:])
            yield url
        finally:
            end(process)


def pixels(data: bytes) -> Image:
    """An RGB array of a PNG."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def ask_peer(url: str, scene: Scene, fields: Mapping[str, str | int]) -> Image:
    """IOPaint's answer."""
    files = {"image": pictures.png(scene.image), "mask": pictures.png(scene.mask)}
    body = {name: base64.b64encode(data).decode() for name, data in files.items()}
    answer = httpx.post(f"{url}/api/v1/inpaint", json={**body, **fields}, timeout=300)
    answer.raise_for_status()
    return pixels(answer.content)


def ask_ours(url: str, model: str, scene: Scene, fields: Mapping[str, str | int]) -> Image:
    """Our answer."""
    files = {"image": pictures.png(scene.image), "mask": pictures.png(scene.mask)}
    data = {name: str(value) for name, value in fields.items()} | {"model": model}
    answer = httpx.post(f"{url}/inpaint", files=files, data=data, timeout=300)
    answer.raise_for_status()
    return pixels(answer.content)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-python", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        checkpoints = Path(folder) / "torch/hub/checkpoints"
        checkpoints.mkdir(parents=True)
        weights = write_lama_torchscript(checkpoints / "big-lama.pt", ngf=8, blocks=3)
        env = {"LAMA_MODEL_MD5": md5_of(weights), "XDG_CACHE_HOME": folder}
        document = yaml.safe_load(default_serve_config().read_text())
        with serve_run(document, "/readyz", env) as ours:
            for model in MODELS:
                with peer(options.peer_python.absolute(), model, Path(folder), env) as url:
                    compare(model, url, ours.url)


def compare(model: str, peer_url: str, our_url: str) -> None:
    """Print a table row for each strategy: the largest difference, and where."""
    for strategy, limits in STRATEGIES.items():
        worst: dict[bool, tuple[int, str]] = {}
        for scene in scenes():
            for params in MODELS[model]:
                fields = {"hd_strategy": strategy, **limits, **params}
                theirs = ask_peer(peer_url, scene, fields)
                mine = ask_ours(our_url, model, scene, fields)
                difference = int(np.abs(theirs.astype(int) - mine).max())
                is_merged = scene.name.startswith("overlapping") and strategy == "Crop"
                worst[is_merged] = max(worst.get(is_merged, (-1, "")), (difference, scene.name))
        for is_merged, (difference, name) in sorted(worst.items()):
            what = "tiles overlap" if is_merged else "no overlap"
            print(f"| {model} | {strategy} | {what} | {difference} | {name} |", flush=True)


if __name__ == "__main__":
    main()
