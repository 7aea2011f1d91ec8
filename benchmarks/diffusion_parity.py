"""Our pixels against a real IOPaint's for Stable Diffusion 1.5 and XL, over HTTP.

IOPaint 1.6 (PyPI, diffusers 0.27) runs from an environment of its own. Both servers read the same
folders of small random checkpoints, as huggingface_hub keeps them and below IOPaint's
stable_diffusion folders, and get the same requests at /api/v1/inpaint.

    python -m benchmarks.diffusion_parity --peer-python ~/peer/venv/bin/python

The table tells the largest difference of any value, in levels of 255. Exit status 1: answers
differ by more than 1 level where benchmarks/diffusion_cases.py does not allow it.
"""

import argparse
import base64
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.diffusion_cases import USUAL, Case, cases
from benchmarks.peer import peer
from benchmarks.peer_setup import install
from benchmarks.servers import serve_run
from deployments.weights.layout import HUB
from inpaint.resources import default_serve_config
from tests.standins.diffusion import (
    Family,
    age_text_encoder,
    random_unet,
    write_folder,
    write_hub_folder,
    write_lcm_lora,
)

WIDTH = 8
"""Of the networks' first level: a run takes half a second."""
MOST_LEVELS = 1
"""Sums may be taken in another order by another diffusers."""
FP16_VAE = "madebyollin/sdxl-vae-fp16-fix"
"""What IOPaint gives to every SDXL folder; here it holds the checkpoints' own VAE."""
FIRST = "runwayml/stable-diffusion-inpainting"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Checkpoint:
    """One of both servers' models."""

    name: str
    family: Family
    channels: int
    folder: str = ""
    """Where IOPaint looks for it; empty: in the hub's cache."""
    is_first: bool = False


CHECKPOINTS = (
    Checkpoint(FIRST, "sd15", 9, is_first=True),
    Checkpoint("plain-15", "sd15", 4, "stable_diffusion"),
    Checkpoint("diffusers/stable-diffusion-xl-1.0-inpainting-0.1", "sdxl", 9, is_first=True),
    Checkpoint("plain-xl", "sdxl", 4, "stable_diffusion_xl"),
)
LCM_LORAS: dict[str, Family] = {
    "latent-consistency/lcm-lora-sdv1-5": "sd15",
    "latent-consistency/lcm-lora-sdxl": "sdxl",
}
HEADING = (
    "| case | SD 1.5, 9 channels | SD 1.5, 4 | SDXL, 9 | SDXL, 4 | why |\n|---|--:|--:|--:|--:|---|"
)
"""A cell of two numbers: where answers should be equal all the same, and elsewhere."""


@dataclass
class Row:
    """One case, all checkpoints."""

    case: Case
    levels: list[str] = field(default_factory=list)
    is_good: bool = True

    def line(self) -> str:
        """For the table."""
        cells = [self.case.name, *self.levels, self.case.why]
        return f"| {' | '.join(cells)} |"


def write_checkpoints(model_dir: Path) -> None:
    """The same files for both, with the tensors' names as published."""
    hub = model_dir / HUB
    source = write_folder(model_dir / "source", "sdxl", width=WIDTH)
    write_hub_folder(hub, FP16_VAE, lambda folder: shutil.copytree(source / "vae", folder))
    for seed, one in enumerate(CHECKPOINTS):
        write = partial(_write, one=one, seed=seed, vae=source / "vae")
        if one.folder:
            write(model_dir / one.folder / one.name)
        else:
            write_hub_folder(hub, one.name, write)
    for name, family in LCM_LORAS.items():
        write_hub_folder(hub, name, partial(write_lcm_lora, unet=random_unet(family, 9, WIDTH)))


def _write(folder: Path, one: Checkpoint, seed: int, vae: Path) -> Path:
    write_folder(folder, one.family, one.channels, seed=seed, width=WIDTH)
    age_text_encoder(folder)  # IOPaint's transformers knows the published names only
    if one.family == "sdxl":
        shutil.copytree(vae, folder / "vae", dirs_exist_ok=True)
    return folder


def painters_only() -> dict[str, Any]:
    """The shipped Serve config with both families on the CPU and no other."""
    document: dict[str, Any] = yaml.safe_load(default_serve_config().read_text())
    application, _ = document["applications"]
    names = ("SD15", "SDXL")
    application["args"].update(
        default_models=[FIRST],
        local_files_only=True,
        families=[{"deployment": name, "kind": "diffusion", "device": "cpu"} for name in names],
    )
    own = [one for one in application["deployments"] if one["name"] in ("Ingress", "Registry")]
    painters = [
        {
            "name": name,
            "num_replicas": 1,
            "ray_actor_options": {"num_cpus": 0.5},
            "user_config": {"threads": 1},
        }
        for name in names
    ]
    application["deployments"] = [*own, *painters]
    return document


def switch(url: str, name: str) -> None:
    """Make `name` the model of a server."""
    answer = httpx.post(f"{url}/api/v1/model", json={"name": name}, timeout=300)
    answer.raise_for_status()
    if answer.json()["name"] != name:
        raise RuntimeError(f"{url} has not switched to {name}")


def ask(url: str, case: Case) -> Pixels:
    """The picture that a server answers, as OpenCV reads it: (H, W, 3 or 4)."""
    files = {"image": case.image, "mask": case.mask}
    body = {name: base64.b64encode(_png(array)).decode() for name, array in files.items()}
    answer = httpx.post(f"{url}/api/v1/inpaint", json={**body, **USUAL, **case.fields}, timeout=600)
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"{url}: {case.name}: {answer.status_code} {answer.text[:300]}")
    decoded = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(decoded, np.uint8)


def _png(array: Pixels) -> bytes:
    code = {2: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    order = code[array.shape[2] if array.ndim == 3 else 2]
    return cv2.imencode(".png", array if order is None else cv2.cvtColor(array, order))[1].tobytes()


def compare(case: Case, theirs: Pixels, mine: Pixels) -> tuple[str, bool]:
    """What the table tells of one pair of answers, and whether it may be so."""
    if theirs.shape != mine.shape:
        return f"{theirs.shape} / {mine.shape}", False
    apart = np.abs(theirs.astype(int) - mine)
    if case.same is None:
        return str(apart.max()), bool(apart.max() <= MOST_LEVELS)
    region = case.same((mine.shape[0], mine.shape[1]))
    where = np.broadcast_to(region if region.ndim == 3 else region[..., np.newaxis], mine.shape)
    # 255 becomes 0 where IOPaint's bicubic enlargement overshoots; here it is clipped.
    wraps = ((mine == 0) & (theirs > 127)) | ((mine == 255) & (theirs < 128))
    inside = int(apart[where & ~wraps].max(initial=0))
    return f"{inside} / {apart[~where].max(initial=0)}", inside <= MOST_LEVELS


def has_painted(case: Case, answer: Pixels) -> bool:
    """Whether anything was done: two untouched pictures are equal too."""
    if answer.shape != case.image.shape:
        return True
    colours = cv2.cvtColor(answer[..., :3], cv2.COLOR_BGR2RGB)
    return not case.mask.any() or bool((colours != case.image[..., :3]).any())


def compare_all(peer_url: str, our_url: str, only: str) -> list[Row]:
    """Ask everything of every checkpoint, one checkpoint after the other."""
    rows = {case.name: Row(case) for case in cases() if fnmatchcase(case.name, only)}
    for one in CHECKPOINTS:
        switch(peer_url, one.name)
        switch(our_url, one.name)
        for row in rows.values():
            if not (one.is_first or row.case.of_all):
                row.levels.append("")
                continue
            theirs, mine = ask(peer_url, row.case), ask(our_url, row.case)
            said, is_good = compare(row.case, theirs, mine)
            row.levels.append(said)
            row.is_good &= is_good and has_painted(row.case, mine)
            print(f"{one.name}: {row.case.name}: {said}", file=sys.stderr, flush=True)
    return list(rows.values())


def main() -> int:
    """Compare and print; 1 where something differs that should not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-python", type=Path, help="absent: install IOPaint now, into --peer")
    parser.add_argument("--peer", type=Path, default=Path("~/.cache/iopaint-peer").expanduser())
    parser.add_argument("--only", default="*", help="names of cases, with * for anything")
    options = parser.parse_args()
    python = (options.peer_python or install(options.peer)).absolute()
    with tempfile.TemporaryDirectory(prefix="diffusion-parity-") as folder:
        cache = Path(folder)
        write_checkpoints(cache)
        env = {"XDG_CACHE_HOME": folder, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        with (
            serve_run(painters_only(), "/readyz", env) as ours,
            peer(python, FIRST, cache, env, "--local-files-only") as url,
        ):
            rows = compare_all(url, ours.url, options.only)
    print(HEADING, *(row.line() for row in rows), sep="\n")
    bad = [row.case.name for row in rows if not row.is_good]
    print("\nNot as they should be: " + ", ".join(bad) if bad else "\nAll as they should be.")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
