"""What configs/ says of memory, against the numbers of parameters of the networks themselves."""

import json
from math import prod
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    DPTConfig,
    DPTForDepthEstimation,
)

from inpaint.catalog import Catalog
from inpaint.resources import configs_dir

CATALOG = Catalog.read(configs_dir())
DATA = Path(__file__).parents[1] / "data"
BYTES = 4  # of a float32
VIT_L = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
         "num_hidden_layers": 24, "patch_size": 14, "image_size": 224,
         "projection_dim": 768}  # fmt: skip


def parameters(make, **config):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in make(**config).parameters())


def published(name, key="tensors"):
    """Numbers in the tensors of a list of names and shapes."""
    tensors = json.loads((DATA / f"{name}.json").read_text())[key]
    return sum(prod(shape) for shape in tensors.values())


def mebibytes(numbers):
    return round(BYTES * numbers / 2**20)


def controlnet_xl(layers):
    attentive = "CrossAttnDownBlock2D" if any(layers) else "DownBlock2D"
    return parameters(
        ControlNetModel,
        down_block_types=("DownBlock2D", attentive, attentive),
        block_out_channels=(320, 640, 1280),
        transformer_layers_per_block=layers,
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def stated(name):
    return (CATALOG.adapter(name) or CATALOG.get(name)).memory_mb


def test_controlnets_of_stable_diffusion_15():
    counted = mebibytes(parameters(ControlNetModel, cross_attention_dim=768))
    adapters = CATALOG.adapters_of(CATALOG.get("runwayml/stable-diffusion-inpainting"))
    roles = [adapter for adapter in adapters if adapter.role.startswith("controlnet-")]
    assert {adapter.memory_mb for adapter in roles} == {counted}


@pytest.mark.parametrize(
    ("suffix", "layers"), [("", [1, 2, 10]), ("-mid", [0, 0, 1]), ("-small", [0, 0, 0])]
)
def test_controlnets_of_sdxl(suffix, layers):
    """`layers` of the smaller ones give the sizes of their files: 545 and 320 MB in float16."""
    counted = controlnet_xl(layers)
    published_mb = {"": 2500, "-mid": 545, "-small": 320}[suffix]
    assert 2 * counted / 1e6 == pytest.approx(published_mb, rel=0.002)
    for kind in ("canny", "depth"):
        assert stated(f"diffusers/controlnet-{kind}-sdxl-1.0{suffix}") == mebibytes(counted)
    if not suffix:
        for name in ("thibaud/controlnet-openpose-sdxl-1.0",
                     "destitech/controlnet-inpaint-dreamer-sdxl"):  # fmt: skip
            assert stated(name) == mebibytes(counted)


def test_depth_estimator():
    config = DPTConfig(
        is_hybrid=True,
        backbone_out_indices=[2, 5, 8, 11],
        neck_hidden_sizes=[256, 512, 768, 768],
        backbone_featmap_shape=[1, 1024, 24, 24],
        neck_ignore_stages=[0, 1],
        readout_type="project",
    )
    counted = parameters(DPTForDepthEstimation, config=config)
    assert stated("Intel/dpt-hybrid-midas") == mebibytes(counted)


def test_brushnets():
    sd15 = mebibytes(published("brushnet_sd15"))
    for kind in ("random", "segmentation"):
        assert stated(f"Sanster/brushnet_{kind}_mask") == sd15
    name = "Regulus0725/random_mask_brushnet_ckpt_sdxl_regulus_v1"
    assert stated(name) == mebibytes(published("brushnet_sdxl"))


def text_encoder():
    config = CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_attention_heads=12,
        num_hidden_layers=12,
        vocab_size=49408,
    )
    return parameters(CLIPTextModel, config=config)


def test_power_paint_v2():
    counted = published("power_paint_v2_brushnet") + text_encoder()
    assert stated("Sanster/PowerPaint_v2") == mebibytes(counted)


def unet():
    return parameters(UNet2DConditionModel, in_channels=9, cross_attention_dim=768)


def vae():
    return parameters(
        AutoencoderKL,
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )


def safety_checker():
    config = CLIPConfig(vision_config=VIT_L, projection_dim=768)
    return parameters(StableDiffusionSafetyChecker, config=config)


def test_checkpoints_of_their_own():
    encoder = parameters(PaintByExampleImageEncoder, config=CLIPVisionConfig(**VIT_L))
    common = unet() + vae() + safety_checker()
    assert stated("Fantasy-Studio/Paint-by-Example") == mebibytes(common + encoder)
    assert stated("powerpaint") == pytest.approx(mebibytes(common + text_encoder()), abs=1)


def test_any_text():
    """Its file holds tables of the noise schedule besides, some thousand numbers."""
    counted = mebibytes(published("any_text_state_dict", "shapes"))
    assert stated("anytext") == pytest.approx(counted, abs=1)
