"""AnyText's checkpoint: one file with the names of the authors' own code, and a font beside it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights  # type: ignore[import-untyped]
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_controlnet_checkpoint,
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from PIL.ImageFont import FreeTypeFont
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from deployments.models.any_text_control import GlyphHint, control_network
from deployments.models.any_text_embeddings import LineEncoder
from deployments.models.any_text_glyphs import find_font
from deployments.models.checkpoints import StateDict, corrupt, fill_network, read_state_dict
from deployments.models.stable_diffusion_files import PADDING, find_tokenizer, load_tokenizer
from deployments.models.stable_diffusion_layouts import clip_config, sd15_unet_config, vae_config
from deployments.models.stable_diffusion_parts import Plan, reading
from deployments.models.text_recogniser import RecogniserWidths
from inpaint.checkpoint_shapes import CLIP
from inpaint.errors import WeightsMissingError

WEIGHTS = (
    *("pytorch_model.fp16.safetensors", "pytorch_model.safetensors"),
    "anytext_v1.1.ckpt",
)
"""What the repository calls its weights, in the order of preference; the last is the authors'."""

NOT_READ = re.compile(
    # The noise schedule, which follows from two numbers.
    r"betas|logvar|(sqrt_|log_)?(one_minus_|recip_|recipm1_)?alphas_cumprod(_prev)?"
    r"|posterior_\w+|lvlb_weights"
    # Whole numbers from 0 on.
    r"|cond_stage_model\.transformer\.text_model\.embeddings\.position_ids"
    # The recogniser's last layer, which turns what it sees into letters.
    r"|text_predictor\.head\..+"
)
"""Names of tensors that are not needed."""

CONTROL = "control_model."
HINT_BLOCKS = ("glyph_block.", "position_block.", "fuse_block.")
"""How the names of GlyphHint's tensors go on, among the control network's."""


@dataclass(frozen=True, slots=True)
class AnyTextParts:
    """What was read. Everything is on the CPU, in evaluation mode."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    control: ControlNetModel
    hint: GlyphHint
    text_encoder: CLIPTextModel
    line_encoder: LineEncoder
    """In float32: it is small."""
    tokenizer: CLIPTokenizer
    font: FreeTypeFont


def read_any_text(path: Path, plan: Plan) -> AnyTextParts:
    """All parts of AnyText.

    Args:
        path: the folder of the weights, or their file.
        plan: of the precisions and the tokenizer.

    Raises:
        WeightsCorruptError: a tensor is missing, unknown, or of another shape.
        WeightsMissingError: there are no weights, no font, or no vocabulary of CLIP's.
    """
    file = find_weights(path) if path.is_dir() else path
    font = find_font(file.parent)
    state = read_state_dict(file)
    with reading(file):
        rows = state[f"{CLIP['sd15']}.embeddings.token_embedding.weight"].shape[0]
    own = file.parent / "tokenizer"
    vocabulary = find_tokenizer(file, own if own.is_dir() else plan.tokenizer, rows)
    tokenizer = load_tokenizer(vocabulary, PADDING["tokenizer"])
    with reading(file):
        return AnyTextParts(**networks_of(state, file, plan), tokenizer=tokenizer, font=font)


def find_weights(folder: Path) -> Path:
    """The weights' file of a folder."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise WeightsMissingError(f"AnyText's folder holds none of {', '.join(WEIGHTS)}.")


def networks_of(state: StateDict, path: Path, plan: Plan) -> dict[str, Any]:
    """The networks of AnyTextParts by their names there, filled from `state`."""
    state = {key: value for key, value in state.items() if not NOT_READ.fullmatch(key)}
    unet_config, text_config = sd15_unet_config(state), clip_config(state, CLIP["sd15"])
    vae_settings = vae_config(state, "sd15")
    lines = line_encoder_tensors(state)
    with torch.device("meta"):
        line_encoder = LineEncoder(RecogniserWidths.of(lines), text_config["hidden_size"])
    with init_empty_weights():  # leaves what no file holds, such as the tokens' positions
        networks: dict[str, Any] = {
            "unet": UNet2DConditionModel.from_config(unet_config),
            "vae": AutoencoderKL.from_config(vae_settings),
            "control": control_network(unet_config),
            "hint": GlyphHint(unet_config["block_out_channels"][0]),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**text_config)),
        }
    tensors: dict[str, StateDict] = {
        "unet": convert_ldm_unet_checkpoint(state, unet_config),
        "vae": convert_ldm_vae_checkpoint(state, vae_settings),
        "control": convert_controlnet_checkpoint(state, unet_config),
        "hint": hint_tensors(state),
        "text_encoder": {
            key.removeprefix("text_model."): value
            for key, value in convert_ldm_clip_checkpoint(state).items()
        },
    }
    if unknown := len(state) - len(lines) - sum(map(len, tensors.values())):
        raise corrupt(path, f"{unknown} of its tensors are not AnyText's.")
    fill_network(line_encoder, lines, path, "cpu")
    for name, network in networks.items():
        _fill(network, tensors.pop(name), plan.text_dtype if name == "text_encoder" else plan.dtype)
    return networks | {"line_encoder": line_encoder}


def hint_tensors(state: StateDict) -> StateDict:
    """Of GlyphHint, by its own names."""
    return {
        key.removeprefix(CONTROL): value
        for key, value in state.items()
        if key.startswith(tuple(f"{CONTROL}{block}" for block in HINT_BLOCKS))
    }


def line_encoder_tensors(state: StateDict) -> StateDict:
    """Of LineEncoder, by its own names: PaddleOCR's underscores are left out."""
    tensors = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == "embedding_manager":
            tensors[rest] = value
        elif part == "text_predictor":
            name = rest.replace("._", ".").replace("batch_norm.", "norm.")
            tensors[f"recogniser.{name}"] = value
    return tensors


def _fill(network: nn.Module, tensors: StateDict, dtype: torch.dtype) -> None:
    cast = {key: value.to(dtype) for key, value in tensors.items()}
    network.load_state_dict(cast, strict=True, assign=True)
    network.eval().requires_grad_(False)
