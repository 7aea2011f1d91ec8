"""Small random checkpoints of SD15 and SDXL under the guide's names, and how to ask them."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path

from deployments.weights.layout import HUB
from tests.conftest import png
from tests.standins.diffusion import (
    NARROW,
    Family,
    random_unet,
    write_folder,
    write_hub_folder,
    write_lcm_lora,
)

SD15 = "runwayml/stable-diffusion-inpainting"
SDXL = "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"
CHECKPOINTS: dict[str, tuple[Family, int]] = {
    SD15: ("sd15", 9),
    "Uminosachi/realisticVisionV51_v51VAE-inpainting": ("sd15", 9),
    "redstonehero/dreamshaper-inpainting": ("sd15", 9),
    "Sanster/anything-4.0-inpainting": ("sd15", 9),
    SDXL: ("sdxl", 9),
    "RunDiffusion/Juggernaut-XI-v11": ("sdxl", 4),
    "SG161222/RealVisXL_V5.0": ("sdxl", 4),
    "eienmojiki/Anything-XL": ("sdxl", 4),
}
"""The guide's names: the family, and the channels that the UNet of the published one takes."""
LCM_LORAS: dict[str, Family] = {
    "latent-consistency/lcm-lora-sdv1-5": "sd15",
    "latent-consistency/lcm-lora-sdxl": "sdxl",
}


def write_checkpoints(model_dir: Path) -> dict[str, Path]:
    """All of them and their LCM-LoRAs where huggingface_hub keeps them. Returns the snapshots."""
    hub = model_dir / HUB
    for name, family in LCM_LORAS.items():
        write_hub_folder(hub, name, partial(write_lcm_lora, unet=random_unet(family, 9, NARROW)))
    return {
        name: write_hub_folder(
            hub,
            name,
            partial(write_folder, family=family, channels=channels, seed=seed, width=NARROW),
        )
        for seed, (name, (family, channels)) in enumerate(CHECKPOINTS.items())
    }


def send(client, image, mask, **fields):
    """The answer to `request_of` the same."""
    return client.post("/inpaint", **request_of(image, mask, **fields))


def request_of(image, mask, *, accept="image/png", **fields):
    """A short run of SDXL on the native API, with `fields` changed; without a feather."""
    usual = {"model": SDXL, "prompt": "a cat", "sd_steps": 2, "seed": 7, "sd_mask_blur": 0}
    return {
        "files": {"image": png(image), "mask": png(mask)},
        "data": {name: value for name, value in (usual | fields).items() if value is not None},
        "headers": {"accept": accept},
    }


@contextmanager
def one_thread():
    """Let torch compute as the replicas of these tests do: a busy machine has no second core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
