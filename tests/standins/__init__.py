"""Stand-in weights: small random networks, written as the published files are.

One module for each model. Importing them imports no torch.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def md5_of(path: Path) -> str:
    """Hexadecimal, as WeightFile.md5 states it."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def save_traced(network: "torch.nn.Module", example: Sequence["torch.Tensor"], path: Path) -> Path:
    """`network` as TorchScript, traced on `example` as the published files are. Returns `path`."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        trace: Callable[..., torch.jit.ScriptModule] = torch.jit.trace
        trace(network, tuple(example), check_trace=False).save(path)
    return path


def save_scripted(network: "torch.nn.Module", path: Path) -> Path:
    """`network` as TorchScript with its branches and keyword arguments. Returns `path`."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        torch.jit.script(network).save(path)
    return path
