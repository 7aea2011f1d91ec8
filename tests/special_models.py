"""A catalog of models and adapters that special requests are about; FakePainters serve them."""

from collections.abc import Iterable
from pathlib import Path

from inpaint.catalog import Catalog
from inpaint.examples import EXAMPLE
from inpaint.specs import AdapterSpec, ModelSpec
from tests.fake_steps import step_spec
from tests.fakes import fake_adapter
from tests.local_service import known_models

SIZE = {"multiple_of": 8, "minimum": 64}
CANNY, OPENPOSE, DEPTH = "a/canny", "a/openpose", "a/depth"
RANDOM, SEGMENTS, RANDOM_XL = "a/random", "a/segments", "a/random-xl"
ROLES = {
    "a/lora": "lcm-lora",
    CANNY: "controlnet-canny",
    OPENPOSE: "controlnet-openpose",
    DEPTH: "controlnet-depth",
    "a/estimator": "depth-estimator",
    RANDOM: "brushnet",
    SEGMENTS: "brushnet",
    "a/power": "powerpaint-v2",
}


def special_catalog(model_dir: Path) -> Catalog:
    """The known models; `plain`, `nine` (channels) and `plain-xl`; `shower` of examples.

    The adapters' files are named by `file_of`; none of them is written yet.
    """

    def adapter(name: str, role: str, base: str = "sd15") -> AdapterSpec:
        sees_mask = False if role in ("brushnet", "powerpaint-v2") else None
        return fake_adapter(
            name, role, bases=[base], inpainting=sees_mask, path=file_of(model_dir, name)
        )

    facts = [("plain", "sd15", False), ("nine", "sd15", True), ("plain-xl", "sdxl", False)]
    models = [
        step_spec(name, size=SIZE, diffusion={"base": base, "inpainting": inpainting})
        for name, base, inpainting in facts
    ]
    reads = ["sd_steps", "sd_guidance_scale", "sd_sampler", "seed", EXAMPLE]
    shower = step_spec("shower", "Showing", size=SIZE, reads=reads)
    adapters = [adapter(name, role) for name, role in ROLES.items()]
    adapters.append(adapter(RANDOM_XL, "brushnet", "sdxl"))
    return Catalog([*known_models().models, *models, shower], adapters)


def file_of(model_dir: Path, name: str) -> Path:
    """Where an adapter's file is looked for."""
    return model_dir / f"{name.replace('/', '--')}.bin"


def put(model_dir: Path, names: Iterable[str]) -> None:
    """Write the files of these adapters."""
    for name in names:
        file_of(model_dir, name).write_bytes(b"numbers")


def shipped_without_weights(*names: str) -> Catalog:
    """The known models; those called `names` and all adapters need no files, and paint here."""
    known = known_models()
    moved = {"repository": None, "extra": None, "family": "Painters"}

    def served(spec: ModelSpec) -> ModelSpec:
        return spec.model_copy(update=moved) if spec.name in names else spec

    adapters = [adapter.model_copy(update={"repository": None}) for adapter in known.adapters]
    return Catalog(map(served, known.models), adapters)
