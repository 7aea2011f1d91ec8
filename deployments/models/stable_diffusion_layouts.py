"""What a single file does not say: the configs of Stable Diffusion 1.5 and XL.

Widths, depths and channels are read off the file's tensors; everything else is a fact of the two
bases, as the configs of stable-diffusion-v1-5 and stable-diffusion-xl-base-1.0 have it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from inpaint.checkpoint_shapes import CLIP, OPEN_CLIP, UNET, VAE
from inpaint.specs import Base

Config = dict[str, Any]
State = Mapping[str, Tensor]

TOKENS = 77
HEAD_WIDTH = 64
"""Of one attention head, in SDXL's UNet and in every CLIP text encoder."""

NOISE: Config = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
SCHEDULERS: dict[Base, Config] = {
    "sd15": NOISE | {"_class_name": "PNDMScheduler"},
    "sdxl": NOISE
    | {
        "_class_name": "EulerDiscreteScheduler",
        "interpolation_type": "linear",
        "timestep_spacing": "leading",
    },
}


def write_configs(folder: Path, state: State, base: Base) -> None:
    """Write one folder of config for each part, as diffusers wants to find them.

    Raises:
        KeyError: a tensor that tells a size is not in the file.
    """
    parts = {
        "scheduler": ("scheduler_config.json", SCHEDULERS[base]),
        "vae": ("config.json", vae_config(state, base)),
        "text_encoder": ("config.json", clip_config(state, CLIP[base])),
    }
    if base == "sdxl":
        parts["unet"] = ("config.json", sdxl_unet_config(state))
        parts["text_encoder_2"] = ("config.json", open_clip_config(state))
    else:
        parts["unet"] = ("config.json", sd15_unet_config(state))
    for part, (name, config) in parts.items():
        (folder / part).mkdir()
        (folder / part / name).write_text(json.dumps(config))


def sd15_unet_config(state: State) -> Config:
    width, channels = _shape(state, f"{UNET}.input_blocks.0.0")[:2]
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": 64,
        "in_channels": channels,
        "out_channels": 4,
        "block_out_channels": [width, 2 * width, 4 * width, 4 * width],
        "layers_per_block": 2,
        "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
        "attention_head_dim": 8,
        "cross_attention_dim": _cross_width(state, "input_blocks.1.1"),
    }


def sdxl_unet_config(state: State) -> Config:
    width, channels = _shape(state, f"{UNET}.input_blocks.0.0")[:2]
    widths = [width, 2 * width, 4 * width]
    depths = [_count(state, f"{UNET}.input_blocks.{n}.1.transformer_blocks") for n in (4, 7)]
    time_width = 256
    return {
        "_class_name": "UNet2DConditionModel",
        "sample_size": 128,
        "in_channels": channels,
        "out_channels": 4,
        "block_out_channels": widths,
        "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 2],
        "up_block_types": [*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"],
        "transformer_layers_per_block": [1, *depths],
        "attention_head_dim": [max(1, level // HEAD_WIDTH) for level in widths],
        "cross_attention_dim": _cross_width(state, "input_blocks.4.1"),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": time_width,
        "projection_class_embeddings_input_dim": _shape(state, f"{UNET}.label_emb.0.0")[1],
    }


def vae_config(state: State, base: Base) -> Config:
    width = _shape(state, f"{VAE}.encoder.conv_in")[0]
    is_xl = base == "sdxl"
    return {
        "_class_name": "AutoencoderKL",
        "sample_size": 1024 if is_xl else 512,
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "block_out_channels": [width, 2 * width, 4 * width, 4 * width],
        "layers_per_block": 2,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "scaling_factor": 0.13025 if is_xl else 0.18215,
        "force_upcast": is_xl,
    }


def clip_config(state: State, prefix: str) -> Config:
    """OpenAI's text encoder, ViT-L/14's in the published files."""
    vocabulary, width = _shape(state, f"{prefix}.embeddings.token_embedding")
    return _text_config(vocabulary, width) | {
        "intermediate_size": _shape(state, f"{prefix}.encoder.layers.0.mlp.fc1")[0],
        "num_hidden_layers": _count(state, f"{prefix}.encoder.layers"),
        "hidden_act": "quick_gelu",
        "projection_dim": width,
    }


def open_clip_config(state: State) -> Config:
    """LAION's text encoder, ViT-bigG/14's in the published files."""
    vocabulary, width = _shape(state, f"{OPEN_CLIP}.token_embedding")
    blocks = f"{OPEN_CLIP}.transformer.resblocks"
    return _text_config(vocabulary, width) | {
        "intermediate_size": _shape(state, f"{blocks}.0.mlp.c_fc")[0],
        "num_hidden_layers": _count(state, blocks),
        "hidden_act": "gelu",
        "projection_dim": state[f"{OPEN_CLIP}.text_projection"].shape[1],
    }


def _text_config(vocabulary: int, width: int) -> Config:
    return {
        "model_type": "clip_text_model",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "max_position_embeddings": TOKENS,
        # Not the real id, but the mark of CLIP's first config files: the text's end is then
        # found as its largest id, which it is.
        "eos_token_id": 2,
        "bos_token_id": 0,
        "pad_token_id": 1,
    }


def _shape(state: State, layer: str) -> tuple[int, ...]:
    return tuple(state[f"{layer}.weight"].shape)


def _cross_width(state: State, block: str) -> int:
    return _shape(state, f"{UNET}.{block}.transformer_blocks.0.attn2.to_k")[1]


def _count(state: State, layers: str) -> int:
    """How many numbered layers there are below `layers`."""
    start = len(layers) + 1
    return len({key[start:].partition(".")[0] for key in state if key.startswith(f"{layers}.")})
