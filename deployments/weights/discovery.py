"""Diffusion models that lie in IOPaint's folders and have no YAML file.

Looked for once, when the application is built: every replica is given its models then. What
becomes of a folder or file is told by its content; names are what IOPaint calls them.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from deployments.weights.checkpoint_headers import read_shapes
from deployments.weights.hub import complete_snapshot, components_of, files_of, snapshot_of
from deployments.weights.hub_files import MODEL_INDEX, is_complete
from deployments.weights.layout import HUB, default_model_dir
from inpaint.catalog import Catalog
from inpaint.checkpoint_shapes import SD2, NotAModelError, facts_of, sees_masks
from inpaint.specs import (
    Base,
    DiffusionFacts,
    HubRepository,
    Kind,
    Licence,
    ModelName,
    ModelSpec,
    SizeRule,
)

logger = logging.getLogger("ray.serve")

LOCAL = (PurePosixPath("stable_diffusion"), PurePosixPath("stable_diffusion_xl"))
"""Below the model directory. Which of both a checkpoint lies in makes no difference here."""
HUB_PREFIX = "models--"
"""Of a repository's folder in the hub's cache."""
SUFFIXES = frozenset({".safetensors", ".ckpt"})
RUNNER = "deployments.models.stable_diffusion:StableDiffusion"
FAMILY: dict[Base, str] = {"sd15": "SD15", "sdxl": "SDXL"}
MEMORY_MB: dict[Base, int] = {"sd15": 5227, "sdxl": 13233}
"""As of the shipped models of that base."""
MAX_PIXELS = 2048 * 2048
"""As of the shipped models."""

PIPELINES: dict[str, Base] = {
    "StableDiffusionPipeline": "sd15",
    "StableDiffusionInpaintPipeline": "sd15",
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLInpaintPipeline": "sdxl",
}
"""What IOPaint lists. Some inpainting checkpoints call themselves plain: their UNet decides."""

SPECIAL = "PowerPaint"
"""Its pipelines call themselves Stable Diffusion's, and want other prompts: IOPaint's rule."""
SD2_TEXT_WIDTH = 1024
"""Of its UNet's cross-attention; SD 1.5's is 768, and the pipelines are the same."""

_MODEL_NAME: TypeAdapter[str] = TypeAdapter(ModelName)
_ANY = HubRepository(repo_id="any/pipeline")
"""Stands for a folder of which nothing in particular is asked."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something in IOPaint's folders that cannot be served."""

    path: PurePosixPath
    """Below the model directory."""
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What lies in IOPaint's folders besides catalogued models."""

    models: tuple[ModelSpec, ...]
    unusable: tuple[Unusable, ...]


def with_discovered(catalog: Catalog, model_dir: Path | None) -> Catalog:
    """`catalog` and the models that lie in `model_dir`.

    What cannot be served is told in the log and stops nothing.
    """
    found = discover(model_dir or default_model_dir(), catalog)
    for entry in found.unusable:
        logger.warning("not served: %s: %s", entry.path, entry.reason)
    return catalog.with_found(found.models)


def discover(model_dir: Path, catalog: Catalog) -> Discovery:
    """Look through IOPaint's folders. Reads configs and the heads of files, no numbers.

    Of one name there is one model. A catalogued one wins, and its repository is passed over;
    then the first of hub repositories, stable_diffusion, stable_diffusion_xl.
    """
    models: dict[str, ModelSpec] = {}
    unusable = []
    for path in _candidates(model_dir):
        relative = PurePosixPath(path.relative_to(model_dir))
        try:
            spec = _spec_of(path, relative, catalog)
            if spec is None:
                continue
            if spec.name in models or _is_known(spec.name, catalog):
                raise NotAModelError(f"another model is called {spec.name!r}; rename this one")
            models[spec.name] = spec
        except NotAModelError as error:
            unusable.append(Unusable(relative, str(error)))
        except OSError as error:
            unusable.append(Unusable(relative, f"it cannot be read ({error.strerror})"))
    return Discovery(tuple(models.values()), tuple(unusable))


def _is_known(name: str, catalog: Catalog) -> bool:
    return name in catalog or catalog.adapter(name) is not None


def _candidates(model_dir: Path) -> Iterator[Path]:
    yield from _listed(model_dir / HUB, lambda path: path.name.startswith(HUB_PREFIX))
    for folder in LOCAL:
        yield from _listed(
            model_dir / folder,
            lambda path: path.suffix in SUFFIXES or (path / MODEL_INDEX).is_file(),
        )


def _listed(folder: Path, is_wanted: Callable[[Path], bool]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_wanted(path))
    except OSError:
        return []


def _spec_of(path: Path, relative: PurePosixPath, catalog: Catalog) -> ModelSpec | None:
    """The entry of a file or folder; None for what is no diffusion pipeline at all."""
    if relative.parent == HUB:
        name = _shown(path.name)
        is_passed_over = _is_known(name, catalog) or SPECIAL in name
        return None if is_passed_over else _hub_spec(path, name)
    if not path.is_dir():
        return _spec(path.name, facts_of(read_shapes(path)), path=Path(relative))
    facts = _folder_facts(path)
    if facts is None:
        return None
    files = files_of(path)
    _require(is_complete(files, _ANY, components_of(files.get(MODEL_INDEX))))
    return _spec(_shown(path.name), facts, path=Path(relative))


def _shown(folder: str) -> str:
    return folder.replace(HUB_PREFIX, "").replace("--", "/")


def _hub_spec(folder: Path, name: str) -> ModelSpec | None:
    for revision in _revisions(folder):
        snapshot = snapshot_of(folder, revision)
        facts = _folder_facts(snapshot) if snapshot is not None else None
        if facts is None:
            continue
        try:
            repository = HubRepository(repo_id=name, revision=revision)
        except ValidationError:
            raise NotAModelError("its folder is not called as a repository's is") from None
        _require(complete_snapshot(folder, repository) is not None)
        return _spec(name, facts, repository=repository)
    return None


def _revisions(folder: Path) -> list[str]:
    """IOPaint loads `main`, or the branch `fp16` that old repositories have."""
    names = (path.name for path in _listed(folder / "refs", Path.is_file))
    return sorted(names, key=lambda name: (name != "main", name != "fp16", name))


def _require(is_complete: bool) -> None:
    if not is_complete:
        raise NotAModelError("parts of it are missing; fetch it again")


def _folder_facts(folder: Path) -> DiffusionFacts | None:
    """What a folder in diffusers' layout is; None for another kind of pipeline, or for none."""
    if not (folder / MODEL_INDEX).is_file():
        return None
    base = PIPELINES.get(str(_read_json(folder, MODEL_INDEX).get("_class_name")))
    if base is None:
        return None
    unet = _read_json(folder, "unet/config.json")
    if base == "sd15" and unet.get("cross_attention_dim") == SD2_TEXT_WIDTH:
        raise NotAModelError(SD2)
    return DiffusionFacts(base=base, inpainting=sees_masks(unet.get("in_channels")))


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotAModelError(f"{name} is missing; fetch it again") from None
    except (ValueError, RecursionError):
        raise NotAModelError(f"{name} is not JSON; fetch it again") from None
    if not isinstance(content, dict):
        raise NotAModelError(f"{name} holds no object; fetch it again")
    return content


def _spec(
    name: str,
    facts: DiffusionFacts,
    repository: HubRepository | None = None,
    path: Path | None = None,
) -> ModelSpec:
    try:
        _MODEL_NAME.validate_python(name)
    except ValidationError:
        raise NotAModelError(
            "its name must begin with a letter or digit and be of ASCII characters; rename it"
        ) from None
    return ModelSpec(
        name=name,
        family=FAMILY[facts.base],
        kind=Kind.DIFFUSION,
        runner=RUNNER,
        description="Found in the model directory.",
        licence=Licence(name="unknown", note="Found on this machine; nobody has looked it up."),
        extra="diffusion",
        repository=repository,
        path=path,
        diffusion=facts,
        size=SizeRule(multiple_of=8, minimum=512),
        max_pixels=MAX_PIXELS,
        precisions=("fp32", "fp16", "bf16"),
        memory_mb=MEMORY_MB[facts.base],
    )
