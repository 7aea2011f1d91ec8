"""A BrushNet as it is published: a folder with config.json and one file of weights."""

from pathlib import Path

import torch
from pydantic import ValidationError

from deployments.models.brushnet import BrushNet, BrushNetConfig
from deployments.models.checkpoints import corrupt, fill_network, read_state_dict

CONFIG = "config.json"
WEIGHTS = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
)
"""Where there are several, the first is read, as in IOPaint: any other is made from it."""


def read_brushnet(folder: Path, dtype: torch.dtype) -> BrushNet:
    """The network of `folder`, on the CPU and in evaluation mode, its weights as `dtype`.

    Raises:
        WeightsCorruptError: a file is missing or damaged, or is of another network.
    """
    config = _read_config(folder)
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise corrupt(folder, f"it holds no {WEIGHTS[0]}.")
    state = read_state_dict(path)
    with torch.device("meta"):
        network = BrushNet(config).to(dtype)
    fill_network(network, state, path, "cpu")
    return network


def _read_config(folder: Path) -> BrushNetConfig:
    path = folder / CONFIG
    if not path.is_file():
        raise corrupt(folder, f"it holds no {CONFIG}.")
    try:
        return BrushNetConfig.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise corrupt(
            path, f"it describes no BrushNet that is known here ({where or 'as a whole'})."
        ) from error
