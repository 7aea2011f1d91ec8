"""MAT with random weights, as IOPaint's state dict."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from deployments.models.mat_network import MatNetwork

FILE = "Places_512_FullData_G.pth"

NARROW: dict[str, Any] = {
    "first_stage": 12,
    "second_stage": (4, 4, 6, 6, 8, 8),
    "z": 16,
    "w": 12,
    "summary": 10,
}
"""MatWidths of a network for pictures of 512 px, like the published one but for its width."""

BIAS_SPREAD = 0.3
"""Of what starts as zeros or ones, so that each tensor can show its effect."""

COLOUR_CONTRAST = 0.2
"""Factor on what each size adds to the picture: untouched, most of it would be 0 or 255."""

MAPPING_SCALE = 100.0
"""Layers of the mapping network learn at a hundredth of the usual rate: their weights are stored
a hundred times as large."""


def randomize(state: "Mapping[str, Tensor]", seed: int = 0) -> None:
    """Fill MAT's tensors in place; filters and attention masks stay. Only numpy's numbers count."""
    import torch

    for index, (name, tensor) in enumerate(state.items()):
        if name.endswith(("resample_filter", "attn_mask")):
            continue
        rng = np.random.RandomState(1000 * seed + index)
        values = torch.from_numpy(rng.standard_normal(tuple(tensor.shape)).astype(np.float32))
        if name.endswith(("bias", "w_avg")):
            values = values * BIAS_SPREAD + (1 if "affine" in name else 0)
        if name.endswith(("toRGB.conv.weight", "toRGB.bias")):
            values = values * COLOUR_CONTRAST
        if name.startswith("mapping.fc"):
            values = values * MAPPING_SCALE
        tensor.copy_(values)


def random_mat(widths: Mapping[str, Any] = NARROW, seed: int = 0) -> "MatNetwork":
    """MAT's architecture with random weights, in evaluation mode. Equal arguments, equal weights.

    `widths` are MatWidths' fields; none at all is the published network.
    """
    import torch

    from deployments.models.mat_network import MatNetwork, MatWidths

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = MatNetwork(MatWidths(**widths))
        randomize(network.state_dict(), seed)
    return network.eval().requires_grad_(False)


def write_mat(folder: Path, *, widths: Mapping[str, Any] = NARROW, seed: int = 0) -> Path:
    """The file under its published name, a plain torch.save of the tensors. Returns its path."""
    import torch

    path = folder / FILE
    torch.save(random_mat(widths, seed).state_dict(), path)
    return path
