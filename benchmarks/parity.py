"""Our pixels against a real IOPaint's, on the same weights and pictures.

IOPaint 1.6 (PyPI) runs from an environment of its own, which is made where none is named. Both
programs get the same seeded stand-in weights in the published formats, and the same requests.

    python -m benchmarks.parity --peer-python ~/peer/venv/bin/python

Where no tiles overlap the difference should be 0, and at most 1 level for networks. Overlapping
holes are shown apart: IOPaint repaints each contour by itself and lets the later one win, here
their tiles are merged.
"""

import argparse
import base64
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import yaml

from benchmarks import pictures
from benchmarks.peer import peer
from benchmarks.peer_setup import install
from benchmarks.servers import serve_run
from inpaint.arrays import Image, Mask, Size
from inpaint.catalog import Catalog
from inpaint.masks import holes
from inpaint.plans import StrategyOptions, plan
from inpaint.resources import configs_dir, default_serve_config
from inpaint.specs import Kind
from tests.standins.catalog import (
    checksum_variables,
    erase_models,
    path_of,
    write_stand_ins,
)

PEER_SCRIPTS = Path(__file__).parent / "peer_weights"

STRATEGIES: dict[str, dict[str, str | int]] = {
    "Original": {},
    "Crop": {"hd_strategy_crop_trigger_size": 128, "hd_strategy_crop_margin": 32},
    "Resize": {"hd_strategy_resize_limit": 200},
}
"""Limits lowered so that each strategy acts on small pictures."""

Fields = Mapping[str, str | int | bool]


@dataclass(frozen=True)
class Case:
    """How a model is asked."""

    params: tuple[Fields, ...] = ({},)
    strategies: tuple[str, ...] = tuple(STRATEGIES)
    is_slow: bool = False
    """A forward takes seconds, so a few scenes must do."""
    program: str | None = None
    """What stands for the `iopaint` command, in benchmarks/peer_weights."""


MODELS: dict[str, Case] = {
    "cv2": Case(
        params=(
            {"cv2_flag": "INPAINT_NS", "cv2_radius": 4},
            {"cv2_flag": "INPAINT_TELEA", "cv2_radius": 7},
        )
    ),
    "lama": Case(),
    "anime-lama": Case(),
    "ldm": Case(
        params=(
            {"ldm_steps": 5, "ldm_sampler": "plms"},
            {"ldm_steps": 10, "ldm_sampler": "ddim"},
        ),
        program="seeded_server.py",
    ),
    "zits": Case(params=({"zits_wireframe": True}, {"zits_wireframe": False})),
    "manga": Case(),
    "migan": Case(strategies=("Crop",)),
    "mat": Case(is_slow=True, program="seeded_server.py"),
    "fcf": Case(strategies=("Crop",), is_slow=True),
}
"""migan and fcf make tiles of their own, whatever the strategy."""

FULL_SIZE = ("mat", "fcf")
"""Whose stand-ins IOPaint's own classes make: it cannot load narrowed ones."""


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


def pixels(data: bytes) -> Image:
    """An RGB array of a PNG."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def ask_peer(url: str, scene: Scene, fields: Fields) -> Image:
    """IOPaint's answer."""
    files = {"image": pictures.png(scene.image), "mask": pictures.png(scene.mask)}
    body = {name: base64.b64encode(data).decode() for name, data in files.items()}
    answer = httpx.post(f"{url}/api/v1/inpaint", json={**body, **fields}, timeout=300)
    answer.raise_for_status()
    return pixels(answer.content)


def ask_ours(url: str, model: str, scene: Scene, fields: Fields) -> Image:
    """Our answer."""
    files = {"image": pictures.png(scene.image), "mask": pictures.png(scene.mask)}
    data = {name: str(value) for name, value in fields.items()} | {"model": model}
    answer = httpx.post(f"{url}/inpaint", files=files, data=data, timeout=300)
    answer.raise_for_status()
    return pixels(answer.content)


def write_weights(peer_python: Path, model_dir: Path, models: Iterable[str]) -> None:
    """Seeded stand-ins for both programs, in the published formats and under their names."""
    write_stand_ins(model_dir, [model for model in models if model not in FULL_SIZE])
    for spec in erase_models():
        if spec.name in models and spec.name in FULL_SIZE:
            script = PEER_SCRIPTS / f"{spec.name}.py"
            target = path_of(spec.weights[0], model_dir)
            subprocess.run([str(peer_python), str(script), str(target)], check=True)


def erase_only() -> dict[str, Any]:
    """The shipped Serve config without its other families, computing with PyTorch."""
    document: dict[str, Any] = yaml.safe_load(default_serve_config().read_text())
    application, _ = document["applications"]
    application["args"]["families"] = [
        {**family, "engine": "torch"}
        for family in application["args"]["families"]
        if family["kind"] == Kind.ERASE
    ]
    kept = {"Ingress", "Registry", "Erase"}
    application["deployments"] = [
        entry for entry in application["deployments"] if entry["name"] in kept
    ]
    return document


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-python", type=Path, help="absent: install IOPaint now, into --peer")
    parser.add_argument("--peer", type=Path, default=Path("~/.cache/iopaint-peer").expanduser())
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    python = (options.peer_python or install(options.peer)).absolute()
    with tempfile.TemporaryDirectory(prefix="parity-") as folder:
        write_weights(python, Path(folder), options.models)
        env = {**checksum_variables(Path(folder)), "XDG_CACHE_HOME": folder}
        document = erase_only()
        print(
            "| model | strategy | tiles | levels | where | wrapped there | our time / IOPaint's |"
        )
        print("|---|---|---|--:|---|--:|--:|")
        with serve_run(document, "/readyz", env) as ours:
            for model in options.models:
                program = MODELS[model].program
                script = PEER_SCRIPTS / program if program else None
                with peer(python, model, Path(folder), env, program=script) as url:
                    compare(model, url, ours.url)


def compare(model: str, peer_url: str, our_url: str) -> None:
    """Print a table row for each strategy: the largest difference, where, and the time."""
    case = MODELS[model]
    ask_both(model, peer_url, our_url, scenes()[0], {})  # loads
    for strategy in case.strategies:
        worst: dict[bool, Difference] = {}
        ratios: list[float] = []
        for scene in scenes()[:: 4 if case.is_slow else 1]:
            for params in case.params:
                fields = {"hd_strategy": strategy, **STRATEGIES[strategy], **params}
                if len(case.strategies) == 1:  # the strategy is not the model's to read
                    fields = dict(params)
                difference, ratio = ask_both(model, peer_url, our_url, scene, fields)
                are_merged = strategy == "Crop" and merges_tiles(model, scene, fields)
                worst[are_merged] = max(worst.get(are_merged, Difference(-1)), difference)
                ratios.append(ratio)
        for are_merged, difference in sorted(worst.items()):
            print(
                f"| {model} | {strategy} | {'merged' if are_merged else 'apart'} "
                f"| {difference.levels} | {difference.scene} | {difference.wrapped} "
                f"| {statistics.median(ratios):.2f} |",
                flush=True,
            )


def merges_tiles(model: str, scene: Scene, fields: Fields) -> bool:
    """Whether we repaint several holes as one, where IOPaint repaints each."""
    spec = Catalog.from_dirs([configs_dir() / "models"]).get(model)
    found = holes(scene.mask)
    known = {name: fields[name] for name in fields if name in StrategyOptions.model_fields}
    options = StrategyOptions.model_validate(known)
    tiles = plan(scene.mask.shape, found, spec.tiling, options).tiles
    return 1 <= len(tiles) < len(found)


@dataclass(frozen=True, order=True)
class Difference:
    """Between two answers."""

    levels: int
    """The largest, where IOPaint's value did not wrap around."""
    scene: str = ""
    wrapped: int = 0
    """Values that IOPaint left in 0..255 by subtracting 256; here they stop at 0 or 255."""


def ask_both(
    model: str, peer_url: str, our_url: str, scene: Scene, fields: Fields
) -> tuple[Difference, float]:
    """How far the two answers differ, and the ratio of the times."""
    began = time.perf_counter()
    theirs = ask_peer(peer_url, scene, fields).astype(int)
    between = time.perf_counter()
    mine = ask_ours(our_url, model, scene, fields).astype(int)
    ratio = (time.perf_counter() - between) / (between - began)
    wraps = ((mine == 0) & (theirs > 200)) | ((mine == 255) & (theirs < 55))
    levels = int(np.abs(theirs - mine)[~wraps].max(initial=0))
    return Difference(levels, scene.name, int(wraps.sum())), ratio


if __name__ == "__main__":
    main()
