"""LaMa with random weights, in all the formats it is published in."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.standins import save_traced

if TYPE_CHECKING:
    from deployments.models.lama_network import LamaNetwork

LAMA_CONTRAST = 20.0
"""Factor on the last convolution: without it random weights answer with near-constant grey."""


def random_lama(ngf: int = 4, blocks: int = 2, seed: int = 0) -> "LamaNetwork":
    """LaMa's architecture with random weights, in evaluation mode. Equal arguments, equal weights.

    The published network is ngf=64, blocks=18.
    """
    import torch

    from deployments.models.lama_network import LamaNetwork

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = LamaNetwork(ngf, blocks)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.05)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        *_, last_weight, _ = network.parameters()
        last_weight.mul_(LAMA_CONTRAST)
    return network.eval().requires_grad_(False)


def write_lama_torchscript(path: Path, *, ngf: int = 4, blocks: int = 2, seed: int = 0) -> Path:
    """As IOPaint's big-lama.pt: traced, any batch and size, the mask int64. Returns `path`."""
    import torch

    image = torch.rand(1, 3, 32, 32)
    mask = torch.ones(1, 1, 32, 32, dtype=torch.int64)
    return save_traced(random_lama(ngf, blocks, seed), (image, mask), path)


def write_lama_state_dict(
    path: Path, *, ngf: int = 4, blocks: int = 2, seed: int = 0, prefix: str = "generator.model."
) -> Path:
    """The same weights as write_lama_torchscript's; the ending of `path` decides the format.

    `.safetensors`; `.ckpt` as a training run leaves it, wrapped and beside a discriminator; else
    a plain torch.save of the tensors. `prefix` stands before the generator's layer numbers.
    """
    import torch
    from safetensors.torch import save_file

    tensors = random_lama(ngf, blocks, seed).state_dict()
    state = {prefix + key.removeprefix("model."): value for key, value in tensors.items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif path.suffix == ".ckpt":
        state["discriminator.model0.0.weight"] = torch.zeros(1)
        torch.save({"epoch": 1, "state_dict": state}, path)
    else:
        torch.save(state, path)
    return path
