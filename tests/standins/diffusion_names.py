"""Names that the authors' own code gives to the tensors of Stable Diffusion's single files."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]
Rules = tuple[tuple[str, str], ...]

RESNET: Rules = (
    (r"norm1\.", "in_layers.0."),
    (r"conv1\.", "in_layers.2."),
    (r"norm2\.", "out_layers.0."),
    (r"conv2\.", "out_layers.3."),
    (r"time_emb_proj\.", "emb_layers.1."),
    (r"conv_shortcut\.", "skip_connection."),
)
UNET_ENDS: Rules = (
    (r"^conv_in\.", "input_blocks.0.0."),
    (r"^time_embedding\.linear_1\.", "time_embed.0."),
    (r"^time_embedding\.linear_2\.", "time_embed.2."),
    (r"^add_embedding\.linear_1\.", "label_emb.0.0."),
    (r"^add_embedding\.linear_2\.", "label_emb.0.2."),
    (r"^conv_norm_out\.", "out.0."),
    (r"^conv_out\.", "out.2."),
    (r"^mid_block\.resnets\.0\.", "middle_block.0."),
    (r"^mid_block\.attentions\.0\.", "middle_block.1."),
    (r"^mid_block\.resnets\.1\.", "middle_block.2."),
)
VAE: Rules = (
    (r"conv_norm_out\.", "norm_out."),
    (r"mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."),
    (r"mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1."),
    (r"mid_block\.attentions\.0\.to_out\.0\.", "mid.attn_1.proj_out."),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"down_blocks\.(\d)\.resnets\.(\d)\.", r"down.\1.block.\2."),
    (r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"conv_shortcut\.", "nin_shortcut."),
)
OPEN_CLIP: Rules = (
    (r"^text_model\.", ""),
    (r"^embeddings\.token_embedding\.", "token_embedding."),
    (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^encoder\.layers\.(\d+)\.", r"transformer.resblocks.\1."),
    (r"^final_layer_norm\.", "ln_final."),
    (r"layer_norm1\.", "ln_1."),
    (r"layer_norm2\.", "ln_2."),
    (r"mlp\.fc1\.", "mlp.c_fc."),
    (r"mlp\.fc2\.", "mlp.c_proj."),
    (r"self_attn\.", "attn."),
)


def original_names(folder: Path) -> State:
    """All tensors of the pipeline in `folder`, named as in a single file."""
    from safetensors.torch import load_file

    def read(part: str) -> State:
        [path] = (folder / part).glob("*.safetensors")
        return load_file(path)

    is_xl = (folder / "text_encoder_2").is_dir()
    place = 2 if is_xl else 1
    state = {
        f"model.diffusion_model.{unet_name(key, place)}": value
        for key, value in read("unet").items()
    }
    state |= {f"first_stage_model.{vae_name(k)}": _as_conv(k, v) for k, v in read("vae").items()}
    clip = "conditioner.embedders.0.transformer" if is_xl else "cond_stage_model.transformer"
    for key, value in read("text_encoder").items():
        state[f"{clip}.text_model.{key.removeprefix('text_model.')}"] = value
    if is_xl:
        state |= {
            f"conditioner.embedders.1.model.{key}": value
            for key, value in open_clip(read("text_encoder_2")).items()
        }
    return {key: value.contiguous() for key, value in state.items()}


def unet_name(key: str, upsampler: int) -> str:
    """The name below model.diffusion_model.

    Args:
        key: diffusers' name.
        upsampler: its place in the first upward level, which SD 1.5 has without attention.
    """
    match = re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", key)
    if match is None:
        return rename(key, UNET_ENDS + RESNET if "resnets" in key else UNET_ENDS)
    side, level, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    per_level = 3  # two layers and what changes the size, or three layers
    if kind == "downsamplers":
        return f"input_blocks.{per_level * (level + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        place = upsampler if level == 0 else 2
        return f"output_blocks.{per_level * level + 2}.{place}.{rest}"
    block = per_level * level + layer + (1 if side == "down" else 0)
    name = "input_blocks" if side == "down" else "output_blocks"
    if kind == "resnets":
        return f"{name}.{block}.0.{rename(rest, RESNET)}"
    return f"{name}.{block}.1.{rest}"


def vae_name(key: str) -> str:
    """The name below first_stage_model."""
    levels = 4
    key = re.sub(
        r"up_blocks\.(\d)\.(resnets|upsamplers)\.(\d)\.",
        lambda found: (
            f"up.{levels - 1 - int(found[1])}."
            + (f"block.{found[3]}." if found[2] == "resnets" else "upsample.")
        ),
        key,
    )
    return rename(key, VAE)


def open_clip(state: State) -> State:
    """Named and packed as in OpenCLIP: one matrix for query, key and value."""
    import torch

    packed: State = {}
    for key, value in state.items():
        if match := re.match(r"(.*self_attn\.)q_proj\.(weight|bias)", key):
            three = [state[f"{match[1]}{part}_proj.{match[2]}"] for part in "qkv"]
            packed[rename(match[1], OPEN_CLIP) + f"in_proj_{match[2]}"] = torch.cat(three)
        elif key == "text_projection.weight":
            packed["text_projection"] = value.T
        elif not re.search(r"[kv]_proj\.", key):
            packed[rename(key, OPEN_CLIP)] = value
    return packed


def rename(key: str, rules: Rules) -> str:
    for pattern, new in rules:
        key = re.sub(pattern, new, key)
    return key


def _as_conv(key: str, value: "Tensor") -> "Tensor":
    """The VAE's attention is made of 1x1 convolutions there."""
    is_attention = re.search(r"attentions\.0\.to_.*weight", key)
    return value[:, :, None, None] if is_attention else value
