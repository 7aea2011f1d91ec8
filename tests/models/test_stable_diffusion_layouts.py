"""Configs of single files, at the sizes of the published networks."""

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from deployments.models import stable_diffusion_layouts as layouts
from inpaint.checkpoint_shapes import CLIP, OPEN_CLIP
from inpaint.specs import Base


def published(family: Base, channels: int) -> dict[str, torch.Tensor]:
    """The tensors that tell sizes, as they are in the files of the authors."""
    is_xl = family == "sdxl"
    unet, clip = "model.diffusion_model", CLIP[family]
    cross = "input_blocks.4.1" if is_xl else "input_blocks.1.1"
    shapes: dict[str, tuple[int, ...]] = {
        f"{unet}.input_blocks.0.0.weight": (320, channels, 3, 3),
        f"{unet}.{cross}.transformer_blocks.0.attn2.to_k.weight": (
            (640, 2048) if is_xl else (320, 768)
        ),
        "first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3),
        f"{clip}.embeddings.token_embedding.weight": (49408, 768),
        f"{clip}.encoder.layers.0.mlp.fc1.weight": (3072, 768),
        **{f"{clip}.encoder.layers.{n}.layer_norm1.bias": (768,) for n in range(12)},
    }
    if is_xl:
        blocks = f"{OPEN_CLIP}.transformer.resblocks"
        shapes |= {
            f"{unet}.label_emb.0.0.weight": (1280, 2816),
            f"{unet}.input_blocks.4.1.transformer_blocks.1.norm1.bias": (640,),
            **{f"{unet}.input_blocks.7.1.transformer_blocks.{n}.x": (1,) for n in range(10)},
            f"{OPEN_CLIP}.token_embedding.weight": (49408, 1280),
            f"{OPEN_CLIP}.text_projection": (1280, 1280),
            f"{blocks}.0.mlp.c_fc.weight": (5120, 1280),
            **{f"{blocks}.{n}.ln_1.bias": (1280,) for n in range(32)},
        }
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def size(network) -> int:
    return sum(tensor.numel() for tensor in network.parameters())


@pytest.mark.parametrize(
    ("family", "channels", "parameters"),
    [
        ("sd15", 4, 859_520_964),
        ("sd15", 9, 859_535_364),
        ("sdxl", 4, 2_567_463_684),
        ("sdxl", 9, 2_567_478_084),
    ],
)
def test_unet_has_as_many_parameters_as_the_published_one(family, channels, parameters):
    state = published(family, channels)
    config = layouts.sdxl_unet_config if family == "sdxl" else layouts.sd15_unet_config
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config(state))
    assert size(unet) == parameters
    heads = [5, 10, 20] if family == "sdxl" else 8
    assert unet.config.attention_head_dim == heads


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_vae_has_as_many_parameters_as_the_published_one(family):
    config = layouts.vae_config(published(family, 4), family)
    with torch.device("meta"):
        assert size(AutoencoderKL.from_config(config)) == 83_653_863
    assert config["scaling_factor"] == (0.13025 if family == "sdxl" else 0.18215)


def test_text_encoders_have_as_many_parameters_as_the_published_ones():
    state = published("sdxl", 4)
    first = CLIPTextConfig(**layouts.clip_config(state, CLIP["sdxl"]))
    second = CLIPTextConfig(**layouts.open_clip_config(state))
    assert (first.num_attention_heads, second.num_attention_heads) == (12, 20)
    with torch.device("meta"):
        assert size(CLIPTextModel(first)) == 123_060_480
        assert size(CLIPTextModelWithProjection(second)) == 694_659_840
