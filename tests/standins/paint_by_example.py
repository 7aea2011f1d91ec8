"""A small random Paint by Example, stored as the published one is. Importing this is light."""

import json
from pathlib import Path
from typing import Any

from tests.standins.diffusion import (
    NOISE,
    SCHEDULERS,
    TEXT_WIDTH,
    WIDTH,
    random_checker,
    random_unet,
    random_vae,
)

LOOK_PX = 32
"""Side of the square that the image encoder looks at; 224 in the published one."""
INDEX = {
    "_class_name": "PaintByExamplePipeline",
    "_diffusers_version": "0.8.0",
    "feature_extractor": ["transformers", "CLIPFeatureExtractor"],
    "image_encoder": ["paint_by_example", "PaintByExampleImageEncoder"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def random_encoder() -> Any:
    """The image encoder, with weights that let its picture count."""
    import torch
    from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder
    from transformers import CLIPVisionConfig

    encoder = PaintByExampleImageEncoder(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=5,  # the mapper has a fifth of them
            num_attention_heads=4,
            image_size=LOOK_PX,
            patch_size=8,
            projection_dim=TEXT_WIDTH,
        )
    )
    torch.nn.init.normal_(encoder.model.embeddings.patch_embedding.weight, std=0.3)
    torch.nn.init.normal_(encoder.proj_out.weight, std=0.3)
    return encoder


def write_paint_by_example(
    folder: Path, *, seed: int = 0, checker: bool = False, width: int = WIDTH
) -> Path:
    """The pipeline in diffusers' layout, with the published names. Returns `folder`."""
    import torch
    from safetensors.torch import load_file, save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = {
            "unet": random_unet("sd15", 9, width),
            "vae": random_vae("sd15", width),
            "image_encoder": random_encoder(),
        }
        if checker:
            networks["safety_checker"] = random_checker()
        for name, weight in networks["unet"].named_parameters():
            if "attn2.to_v" in name or "attn2.to_out" in name:
                weight.data *= 8
        for name, network in networks.items():
            network.save_pretrained(folder / name)
    path = folder / "image_encoder" / "model.safetensors"
    state = {_published(key): value for key, value in load_file(path).items()}
    positions = (LOOK_PX // 8) ** 2 + 1
    state["model.vision_model.embeddings.position_ids"] = torch.arange(positions)[None]
    save_file(state, path, metadata={"format": "pt"})
    _write_settings(folder, checker)
    return folder


def _published(key: str) -> str:
    """transformers 5 writes no "vision_model", which the published file has."""
    inner = key.removeprefix("model.")
    return f"model.vision_model.{inner}" if inner != key else key


def _write_settings(folder: Path, checker: bool) -> None:
    index: dict[str, object] = dict(INDEX)
    if not checker:
        index["safety_checker"] = [None, None]
    files: dict[str, dict[str, object]] = {
        "model_index.json": index,
        "scheduler/scheduler_config.json": NOISE | SCHEDULERS["sd15"],
        "feature_extractor/preprocessor_config.json": {
            "crop_size": LOOK_PX,
            "do_center_crop": True,
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3,
            "size": LOOK_PX,
        },
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2))
