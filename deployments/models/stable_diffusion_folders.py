"""Stable Diffusion in diffusers' layout: a folder with model_index.json and one folder a part.

Part by part rather than by `from_pretrained` on the whole: so an error names the file, weights
that lack tensors are refused where diffusers and transformers would make up random ones, and no
class but those below is ever looked for, whatever the index says.
"""

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL, SchedulerMixin, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
)

from deployments.models.checkpoints import corrupt
from deployments.models.stable_diffusion_parts import (
    Checkpoint,
    Plan,
    read_tokenizer,
    reading,
)
from deployments.weights.hub_files import MODEL_INDEX, best_choice
from inpaint.checkpoint_shapes import NotAModelError, sees_masks
from inpaint.specs import Base

NETWORKS: dict[str, dict[str, Any]] = {
    "unet": {"UNet2DConditionModel": UNet2DConditionModel},
    "vae": {
        "AutoencoderKL": AutoencoderKL,
        "AsymmetricAutoencoderKL": AsymmetricAutoencoderKL,
    },
    "text_encoder": {"CLIPTextModel": CLIPTextModel},
    "text_encoder_2": {"CLIPTextModelWithProjection": CLIPTextModelWithProjection},
    "safety_checker": {"StableDiffusionSafetyChecker": StableDiffusionSafetyChecker},
}
TOKENIZERS = ("CLIPTokenizer", "CLIPTokenizerFast")

Index = dict[str, Any]


def read_folder(root: Path, plan: Plan) -> Checkpoint:
    """All parts of the pipeline in `root`.

    Raises:
        WeightsCorruptError: a part is missing, damaged, or not Stable Diffusion 1.5's or XL's.
    """
    index = read_json(root / MODEL_INDEX, root)
    base: Base = "sdxl" if class_of(index, "text_encoder_2") else "sd15"
    parts: dict[str, Any] = {
        "scheduler": read_scheduler(root),
        "unet": read_part(root, "unet", index, plan),
        "text_encoder": read_part(root, "text_encoder", index, plan),
        "tokenizer": _tokenizer_of(root, "tokenizer", index),
        "vae": read_vae(plan) or read_part(root, "vae", index, plan),
    }
    try:
        sees_masks(parts["unet"].config.in_channels)
    except NotAModelError as error:
        raise corrupt(root / "unet" / "config.json", f"{error}.", root) from error
    if base == "sdxl":
        parts["text_encoder_2"] = read_part(root, "text_encoder_2", index, plan)
        parts["tokenizer_2"] = _tokenizer_of(root, "tokenizer_2", index)
        names = ("force_zeros_for_empty_prompt", "requires_aesthetics_score")
        settings = {name: bool(index[name]) for name in names if name in index}
        return Checkpoint(base, parts, settings | {"add_watermarker": False})
    has_checker = plan.with_checker and class_of(index, "safety_checker") is not None
    parts |= {"safety_checker": None, "feature_extractor": None}
    if has_checker:
        parts["safety_checker"] = read_part(root, "safety_checker", index, plan)
        with reading(root / "feature_extractor", root):
            parts["feature_extractor"] = CLIPImageProcessor.from_pretrained(
                root / "feature_extractor", local_files_only=True
            )
    return Checkpoint(base, parts, {"requires_safety_checker": has_checker})


def read_vae(plan: Plan) -> Any:
    """The VAE that takes the place of a checkpoint's own; None where there is none."""
    if plan.vae is None:
        return None
    return read_network(AutoencoderKL, plan.vae, plan.vae, plan.variant, plan.dtype)


def read_part(root: Path, part: str, index: Index, plan: Plan) -> Any:
    """The network of one of NETWORKS' parts, on the CPU, in evaluation mode.

    Raises:
        WeightsCorruptError: it is missing or damaged, or the index names another class for it.
    """
    name = class_of(index, part)
    if name not in NETWORKS[part]:
        known = " or ".join(NETWORKS[part])
        raise corrupt(root / MODEL_INDEX, f"its {part} is {name}, and must be {known}.")
    dtype = plan.text_dtype if part.startswith("text_encoder") else plan.dtype
    return read_network(NETWORKS[part][name], root / part, root, plan.variant, dtype)


def read_network(
    kind: Any,
    folder: Path,
    root: Path,
    variant: str | None,
    dtype: torch.dtype,
    idle: tuple[str, ...] = (),
    config: Any = None,
    exact: bool = False,
) -> Any:
    """One network of `folder`, from the variant where it is whole, else the full weights.

    Args:
        kind: class of diffusers or transformers.
        folder: holds config.json and the weights.
        root: the checkpoint's folder, from which messages name files.
        variant: weights that are preferred to the full ones.
        dtype: what the weights are read as.
        idle: how the names of tensors begin that the network never computes with, so that
            published weights lack them.
        config: takes the place of what `kind` would make of config.json.
        exact: whether tensors that the network has no place for are an error too.

    Raises:
        WeightsCorruptError: a file is missing or damaged, or of another network.
    """
    choice = best_choice((path.name for path in _files(folder)), variant)
    if choice is None:
        raise corrupt(folder, "it holds no whole set of weights.", root)
    form, chosen = choice
    read_json(folder / "config.json", root)  # diffusers takes anything for one
    given = {} if config is None else {"config": config}
    with reading(_weights_path(folder, form, chosen), root):
        network, report = kind.from_pretrained(
            folder,
            **given,
            variant=chosen,
            use_safetensors=form == "safetensors",
            dtype=dtype,
            local_files_only=True,
            output_loading_info=True,
        )
    missing = sum(not key.startswith(idle) for key in report["missing_keys"])
    unknown = len(report["unexpected_keys"]) if exact else 0
    if missing or unknown:
        trouble = f"{missing} tensors are missing" if missing else f"{unknown} tensors are unknown"
        raise corrupt(_weights_path(folder, form, chosen), f"{trouble}.", root)
    return network.eval().requires_grad_(False)


def read_scheduler(root: Path) -> Any:
    """The checkpoint's own, which any sampler is made from."""
    path = root / "scheduler" / "scheduler_config.json"
    name = read_json(path, root).get("_class_name")
    kind: Any = getattr(diffusers, name, None) if isinstance(name, str) else None
    is_scheduler = isinstance(kind, type) and issubclass(kind, SchedulerMixin)
    if not is_scheduler:
        raise corrupt(path, f"it names no scheduler of diffusers: {name}.", root)
    with reading(path, root):
        return kind.from_pretrained(path.parent, local_files_only=True)


def _tokenizer_of(root: Path, part: str, index: Index) -> Any:
    name = class_of(index, part)
    if name not in TOKENIZERS:
        raise corrupt(root / MODEL_INDEX, f"its {part} is {name}, and must be CLIPTokenizer.")
    return read_tokenizer(root / part, root)


def read_json(path: Path, root: Path) -> Index:
    """The JSON object in a file; WeightsCorruptError where there is none."""
    with reading(path, root):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise corrupt(path, "it is no JSON object.", root)
    return content


def class_of(index: Index, part: str) -> str | None:
    """The class that the index names for a part; None for no such part."""
    entry = index.get(part)
    return entry[1] if isinstance(entry, list) and len(entry) == 2 else None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.is_file()]


def _weights_path(folder: Path, form: str, variant: str | None) -> Path:
    """A file of the chosen weights, for messages."""
    names = sorted(
        path for path in _files(folder) if best_choice([path.name], variant) == (form, variant)
    )
    return names[0] if names else folder
