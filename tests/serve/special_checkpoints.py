"""Small random checkpoints of the family Special, and of the networks that guide SD15 and SDXL."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from deployments.weights.layout import HUB
from tests.standins.any_text import write_any_text
from tests.standins.brushnet import write_brushnet
from tests.standins.clip_vocabulary import write_vocabulary
from tests.standins.controlnets import write_controlnet, write_depth_estimator
from tests.standins.diffusion import NARROW, write_folder, write_hub_folder
from tests.standins.paint_by_example import write_paint_by_example
from tests.standins.power_paint import write_power_paint, write_power_paint_v2

PLAIN, PLAIN_XL = "plain", "plain-xl"
"""Checkpoints that do not see the mask, found in IOPaint's folders."""
CANNY = "lllyasviel/control_v11p_sd15_canny"
INPAINT = "lllyasviel/control_v11p_sd15_inpaint"
OPENPOSE = "lllyasviel/control_v11p_sd15_openpose"
DEPTH = "lllyasviel/control_v11f1p_sd15_depth"
CANNY_XL = "diffusers/controlnet-canny-sdxl-1.0"
RANDOM_MASK = "Sanster/brushnet_random_mask"
SEGMENTATION_MASK = "Sanster/brushnet_segmentation_mask"
RANDOM_MASK_XL = "Regulus0725/random_mask_brushnet_ckpt_sdxl_regulus_v1"
PAINT_BY_EXAMPLE = "Fantasy-Studio/Paint-by-Example"


def write_plain_checkpoints(model_dir: Path) -> None:
    """The two that have no YAML: they are looked for when the application is built."""
    write_folder(model_dir / "stable_diffusion" / PLAIN, "sd15", 4, seed=40, width=NARROW)
    write_folder(model_dir / "stable_diffusion_xl" / PLAIN_XL, "sdxl", 4, seed=41, width=NARROW)


def write_special_checkpoints(model_dir: Path) -> None:
    """All others where huggingface_hub keeps them."""
    writers: dict[str, Callable[[Path], Path]] = {
        CANNY: partial(write_controlnet, seed=1, width=NARROW),
        INPAINT: partial(write_controlnet, seed=2, width=NARROW),
        OPENPOSE: partial(write_controlnet, seed=3, width=NARROW),
        DEPTH: partial(write_controlnet, seed=4, width=NARROW),
        CANNY_XL: partial(write_controlnet, family="sdxl", seed=5, variant="fp16", width=NARROW),
        "Intel/dpt-hybrid-midas": write_depth_estimator,
        RANDOM_MASK: partial(write_brushnet, seed=6, width=NARROW),
        SEGMENTATION_MASK: partial(write_brushnet, seed=7, width=NARROW),
        RANDOM_MASK_XL: partial(write_brushnet, family="sdxl", seed=8, width=NARROW),
        "Sanster/PowerPaint_v2": partial(write_power_paint_v2, width=NARROW),
        "Sanster/PowerPaint-V1-stable-diffusion-inpainting": partial(
            write_power_paint, width=NARROW
        ),
        "Sanster/AnyText": partial(write_any_text, vocabulary=False),
        "openai/clip-vit-large-patch14": _write_clip_vocabulary,
        PAINT_BY_EXAMPLE: partial(write_paint_by_example, width=NARROW),
    }
    for repository, write in writers.items():
        write_hub_folder(model_dir / HUB, repository, write)


def _write_clip_vocabulary(folder: Path) -> Path:
    write_vocabulary(folder)
    return folder
