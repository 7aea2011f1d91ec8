"""Small random BrushNets, stored as the published ones are.

Names of tensors, and shapes but for their widths, are those of tests/data/brushnet_*.json.
Importing this imports no torch.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.standins.diffusion import SECOND_WIDTH, TEXT_WIDTH, WIDTH, Family

RECORDS = Path(__file__).parents[1] / "data"
FULL_WIDTH = 320
"""Of the published networks' first level; every other width is a multiple."""
SIZE_NUMBERS = 6 * 256
"""Of what SDXL's network is told of sizes; the rest of its input is the pooled prompt."""
CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"


def record(family: Family) -> dict[str, Any]:
    """The published config, and the shapes of the tensors by name."""
    return dict(json.loads((RECORDS / f"brushnet_{family}.json").read_text()))


def small_config(family: Family) -> dict[str, Any]:
    """For the UNet of `tests.standins.diffusion.random_unet`."""
    config: dict[str, Any] = record(family)["config"]
    widths = [_small(width) for width in config["block_out_channels"]]
    if family == "sd15":
        return config | {"block_out_channels": widths, "cross_attention_dim": TEXT_WIDTH}
    return config | {
        "block_out_channels": widths,
        "cross_attention_dim": TEXT_WIDTH + SECOND_WIDTH,
        "projection_class_embeddings_input_dim": SIZE_NUMBERS + SECOND_WIDTH,
    }


def small_shapes(family: Family) -> dict[str, tuple[int, ...]]:
    """The published shapes at the widths of `small_config`."""
    shapes = {key: tuple(map(_small, shape)) for key, shape in record(family)["tensors"].items()}
    if family == "sdxl":
        wide = "add_embedding.linear_1.weight"
        shapes[wide] = (shapes[wide][0], SIZE_NUMBERS + SECOND_WIDTH)
    return shapes


def _small(width: int) -> int:
    return width * WIDTH // FULL_WIDTH if width % FULL_WIDTH == 0 else width


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
    folder: Path, family: Family = "sd15", *, seed: int = 0, zeroed: bool = False
) -> Path:
    """A folder with config.json and weights. Returns it.

    Args:
        folder: is made.
        family: whose `random_unet` it fits.
        seed: decides the weights.
        zeroed: let its output convolutions be zero, as they are before training.
    """
    from safetensors.torch import save_file

    state = random_weights(small_shapes(family), seed)
    if zeroed:
        for key in state:
            if key.startswith("brushnet_"):
                state[key].zero_()
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(small_config(family), indent=2))
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    return folder
