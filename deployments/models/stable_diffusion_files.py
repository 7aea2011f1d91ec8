"""Stable Diffusion as one file, .safetensors or .ckpt, with the names of the authors' own code."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    SingleFileComponentError,
    create_diffusers_clip_model_from_ldm,
)
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from deployments.models.checkpoints import StateDict, corrupt, read_state_dict
from deployments.models.stable_diffusion_folders import read_scheduler, read_vae
from deployments.models.stable_diffusion_layouts import TOKENS, write_configs
from deployments.models.stable_diffusion_parts import (
    Checkpoint,
    Plan,
    read_tokenizer,
    reading,
)
from deployments.weights.layout import HUB, default_model_dir, repository_folder
from deployments.weights.store import FETCH_COMMAND
from inpaint.checkpoint_shapes import CLIP, NotAModelError, facts_of
from inpaint.errors import WeightsMissingError
from inpaint.specs import Base

VOCABULARY = ("vocab.json", "merges.txt")
VOCABULARY_REPOSITORY = "openai/clip-vit-large-patch14"
PADDING = {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"}
"""What fills up a prompt: both encoders read one vocabulary, and pad it differently."""


def read_file(path: Path, plan: Plan) -> Checkpoint:
    """All parts of the pipeline in `path`, which is read without running code it may hold.

    Raises:
        WeightsCorruptError: it is damaged, or holds something else.
        WeightsMissingError: CLIP's vocabulary, which no such file holds, is not on disk.
    """
    state = read_state_dict(path)
    base = _base_of(state, path)
    rows = state[f"{CLIP[base]}.embeddings.token_embedding.weight"].shape[0]
    tokenizer = find_tokenizer(path, plan.tokenizer, rows)
    with TemporaryDirectory() as folder, reading(path):
        try:
            write_configs(Path(folder), state, base)
            parts = _read_parts(Path(folder), state, base, plan)
        except SingleFileComponentError as error:
            raise corrupt(path, "a part of it is missing.") from error
    for part in PADDING if base == "sdxl" else ["tokenizer"]:
        parts[part] = load_tokenizer(tokenizer, PADDING[part])
    if missing := sum(_count_missing(part) for part in parts.values()):
        raise corrupt(path, f"{missing} tensors are missing.")
    if base == "sdxl":
        return Checkpoint(base, parts, {"add_watermarker": False})
    parts |= {"safety_checker": None, "feature_extractor": None}
    return Checkpoint(base, parts, {"requires_safety_checker": False})


def _base_of(state: StateDict, path: Path) -> Base:
    try:
        return facts_of({key: tuple(value.shape) for key, value in state.items()}).base
    except NotAModelError as error:
        raise corrupt(path, f"{error}.") from error


def _read_parts(configs: Path, state: StateDict, base: Base, plan: Plan) -> dict[str, Any]:
    network = {"config": str(configs), "local_files_only": True, "torch_dtype": plan.dtype}
    text = network | {"checkpoint": state, "torch_dtype": plan.text_dtype}
    parts = {
        "scheduler": read_scheduler(configs),
        "unet": UNet2DConditionModel.from_single_file(state, subfolder="unet", **network),
        "vae": read_vae(plan) or AutoencoderKL.from_single_file(state, subfolder="vae", **network),
        "text_encoder": create_diffusers_clip_model_from_ldm(
            CLIPTextModel, subfolder="text_encoder", **text
        ),
    }
    if base == "sdxl":
        parts["text_encoder_2"] = create_diffusers_clip_model_from_ldm(
            CLIPTextModelWithProjection, subfolder="text_encoder_2", **text
        )
    for part in parts.values():
        if isinstance(part, nn.Module):
            part.eval().requires_grad_(False)
    return parts


def _count_missing(part: Any) -> int:
    """How many tensors of a network were not in the file."""
    if not isinstance(part, nn.Module):
        return 0
    return sum(tensor.is_meta for tensor in chain(part.parameters(), part.buffers()))


def find_tokenizer(path: Path, given: Path | None, entries: int) -> Path:
    """A folder with CLIP's vocabulary of `entries` tokens.

    `given`, or else the hub's cache in the model directory: CLIP's own repository, or any
    pipeline's tokenizer.

    Raises:
        WeightsMissingError: there is none.
    """
    for folder in [given] if given else _tokenizers(path):
        is_whole = all((folder / name).is_file() for name in VOCABULARY)
        if is_whole and len(load_tokenizer(folder, PADDING["tokenizer"])) == entries:
            return folder
    raise WeightsMissingError(
        f"{path.name} is a single file, which holds no vocabulary; it needs the files "
        f"{' and '.join(VOCABULARY)} of {VOCABULARY_REPOSITORY}, or any Stable Diffusion in "
        f"diffusers' layout: `{FETCH_COMMAND.format(VOCABULARY_REPOSITORY)}`."
    )


def load_tokenizer(folder: Path, padding: str) -> CLIPTokenizer:
    """The tokenizer of one of the text encoders."""
    return read_tokenizer(folder, model_max_length=TOKENS, pad_token=padding)


def _tokenizers(path: Path) -> Iterator[Path]:
    """Where a vocabulary may lie."""
    for hub in hubs_for(path):
        yield from sorted(repository_folder(hub, VOCABULARY_REPOSITORY).glob("snapshots/*"))
        yield from sorted(hub.glob("models--*/snapshots/*/tokenizer"))


def hubs_for(path: Path) -> Iterator[Path]:
    """The hub's cache in the model directory above `path`, and in the default one."""
    above = (parent for parent in path.absolute().parents if (parent / HUB).is_dir())
    for model_dir in dict.fromkeys([*above, default_model_dir()]):
        yield model_dir / HUB
