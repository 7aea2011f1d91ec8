"""Small random BrushNets, stored as the published ones are.

Names of tensors, and shapes but for their widths, are those that tests/data records. Importing
this imports no torch.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tests.standins.diffusion import SECOND_WIDTH, SIZE_NUMBERS, TEXT_WIDTH, WIDTH, Family

Published = Literal["sd15", "sdxl", "power_paint_v2"]
DATA = Path(__file__).parents[1] / "data"
RECORDS: dict[Published, Path] = {
    "sd15": DATA / "brushnet_sd15.json",
    "sdxl": DATA / "brushnet_sdxl.json",
    "power_paint_v2": DATA / "power_paint_v2_brushnet.json",
}
"""Of each published network its config, and the shapes of its tensors by name."""

FULL_WIDTH = 320
"""Of the published networks' first level; every other width is a multiple."""
PROMPT_WIDTHS = {
    768: TEXT_WIDTH,
    2048: TEXT_WIDTH + SECOND_WIDTH,
    SIZE_NUMBERS + 1280: SIZE_NUMBERS + SECOND_WIDTH,
}
"""What takes the place of widths that follow from the text encoders'."""

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"


def record(name: Published) -> dict[str, Any]:
    """The published config, and the shapes of the tensors by name."""
    return dict(json.loads(RECORDS[name].read_text()))


def small_config(name: Published, width: int = WIDTH) -> dict[str, Any]:
    """For the UNet of `tests.standins.diffusion.random_unet`."""
    config: dict[str, Any] = record(name)["config"]
    config["block_out_channels"] = [_small(level, width) for level in config["block_out_channels"]]
    for key in ("cross_attention_dim", "projection_class_embeddings_input_dim"):
        config[key] = config[key] and PROMPT_WIDTHS[config[key]]
    if width < WIDTH:  # as narrow UNets have it
        config |= {"norm_num_groups": width, "attention_head_dim": width // 4}
    return config


def small_shapes(name: Published, width: int = WIDTH) -> dict[str, tuple[int, ...]]:
    """The published shapes at the widths of `small_config`."""
    return {
        key: tuple(_small(count, width) for count in shape)
        for key, shape in record(name)["tensors"].items()
    }


def _small(count: int, width: int) -> int:
    if count % FULL_WIDTH == 0:
        return count * width // FULL_WIDTH
    return PROMPT_WIDTHS.get(count, count)


def random_weights(shapes: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, Any]:
    """Tensors of any network of convolutions, linear layers and normalisations.

    In the order of the names, each is drawn by itself, so no version of a library matters. States
    keep their size from layer to layer, near enough.
    """
    import torch

    draw = torch.Generator().manual_seed(seed)
    state = {}
    for key in sorted(shapes):
        shape = tuple(shapes[key])
        noise = torch.randn(shape, generator=draw)
        if len(shape) > 1:
            state[key] = noise / torch.Size(shape[1:]).numel() ** 0.5
        elif key.endswith(".weight"):  # a normalisation's
            state[key] = 1 + noise / 10
        else:
            state[key] = noise / 10
    return state


def write_brushnet(
    folder: Path,
    family: Family = "sd15",
    *,
    seed: int = 0,
    zeroed: bool = False,
    width: int = WIDTH,
) -> Path:
    """A folder with config.json and weights. Returns it.

    Args:
        folder: is made.
        family: whose `random_unet` it fits.
        seed: decides the weights.
        zeroed: let its output convolutions be zero, as they are before training.
        width: of that UNet.
    """
    state = random_weights(small_shapes(family, width), seed)
    if zeroed:
        for key in state:
            if key.startswith("brushnet_"):
                state[key].zero_()
    return save_brushnet(folder, small_config(family, width), state)


def save_brushnet(
    folder: Path, config: Mapping[str, Any], state: Mapping[str, Any], weights: str = WEIGHTS
) -> Path:
    """Write a network in diffusers' layout, its tensors into a file called `weights`."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(dict(config), indent=2))
    save_file(dict(state), folder / weights, metadata={"format": "pt"})
    return folder
