"""Small random ControlNets and depth estimators, stored as the published ones are.

Importing this imports no torch.
"""

import json
from pathlib import Path
from typing import Any

from tests.standins.diffusion import WIDTH, Family, random_unet

DEPTH_PX = 64
"""Side of the square that the depth estimator looks at; 384 in the published one."""
SIGHT, NARROW_SIGHT = (16, 32, 96, 256), (4, 8, 8, 16)
"""Channels of what reads the control picture: the published ones, and those beside narrow UNets."""


def random_controlnet(family: Family, seed: int = 0, width: int = WIDTH) -> Any:
    """A ControlNet for `random_unet` of that width, as after training: what it sees counts."""
    import torch
    from diffusers import ControlNetModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ControlNetModel.from_unet(
            random_unet(family, 4, width),
            conditioning_embedding_out_channels=NARROW_SIGHT if width < WIDTH else SIGHT,
        )
        sight = network.controlnet_cond_embedding
        for layer in (sight.conv_in, *sight.blocks, sight.conv_out):
            torch.nn.init.kaiming_normal_(layer.weight)
        for layer in (network.controlnet_mid_block, *network.controlnet_down_blocks):
            torch.nn.init.normal_(layer.weight, std=0.3)
    return network


def write_controlnet(
    folder: Path,
    family: Family = "sd15",
    *,
    seed: int = 0,
    variant: str | None = None,
    pickled: bool = False,
    width: int = WIDTH,
) -> Path:
    """A ControlNet in diffusers' layout, in float16 where the variant says so. Returns `folder`."""
    import torch

    network = random_controlnet(family, seed, width)
    if variant == "fp16":
        network.to(torch.float16)
    network.save_pretrained(folder, variant=variant, safe_serialization=not pickled)
    return folder


def write_depth_estimator(folder: Path, *, seed: int = 0) -> Path:
    """A DPT on a ViT and a BiT, as Intel/dpt-hybrid-midas is. Returns `folder`."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import BitConfig, DPTConfig, DPTForDepthEstimation

    backbone = BitConfig(
        embedding_size=8,
        hidden_sizes=[16, 32, 64],
        depths=[1, 1, 1],
        num_groups=4,
        layer_type="bottleneck",
        global_padding="same",
        embedding_dynamic_padding=True,
        out_features=["stage1", "stage2", "stage3"],
    )
    config = DPTConfig(
        backbone_config=backbone,
        is_hybrid=True,
        backbone_featmap_shape=[1, 64, DEPTH_PX // 16, DEPTH_PX // 16],
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=2,
        backbone_out_indices=[0, 1, 2, 3],
        neck_ignore_stages=[0, 1],
        neck_hidden_sizes=[16, 32, 64, 64],
        reassemble_factors=[1, 1, 1, 0.5],
        fusion_hidden_size=16,
        head_in_index=-1,
        image_size=DEPTH_PX,
        patch_size=16,
        readout_type="project",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        DPTForDepthEstimation(config).save_pretrained(folder)
    path = folder / "model.safetensors"
    idle = "neck.fusion_stage.layers.0.residual_layer1."
    published = {key: value for key, value in load_file(path).items() if not key.startswith(idle)}
    save_file(published, path, metadata={"format": "pt"})
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_normalize": True,
                "do_rescale": True,
                "do_resize": True,
                "ensure_multiple_of": 1,
                "feature_extractor_type": "DPTFeatureExtractor",
                "image_mean": [0.5, 0.5, 0.5],
                "image_processor_type": "DPTImageProcessor",
                "image_std": [0.5, 0.5, 0.5],
                "keep_aspect_ratio": False,
                "resample": 2,
                "rescale_factor": 1 / 255,
                "size": {"height": DEPTH_PX, "width": DEPTH_PX},
            }
        )
    )
    return folder
