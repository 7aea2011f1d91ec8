"""Weight files as the published models come: TorchScript, torch.save archives, safetensors.

What a file is, its content says and not its name. A file of numbers is read without running any
code that it may hold; TorchScript is code, and the weights store lets only known files through.
"""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from deployments.weights import is_torchscript
from inpaint.errors import WeightsCorruptError

StateDict = dict[str, Tensor]

_UNREADABLE = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(EOFError, struct.error, zipfile.BadZipFile, SafetensorError),
)
"""What the three parsers were seen to raise, or can raise by their source, on damaged bytes."""


def corrupt(path: Path, reason: str) -> WeightsCorruptError:
    """The error for `path`; its text names the file without its folder."""
    return WeightsCorruptError(f"{path.name} cannot be used: {reason}", {"path": str(path)})


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn a parser's error into ours."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise corrupt(path, "it is damaged, or holds Python objects besides tensors.") from error
    except _UNREADABLE as error:
        raise corrupt(path, "it is damaged or breaks off.") from error


def holds_torchscript(path: Path) -> bool:
    """Whether `path` is TorchScript; WeightsCorruptError if it is a damaged zip archive."""
    with _reading(path):
        return is_torchscript(path)


def read_torchscript(path: Path) -> torch.jit.ScriptModule:
    """The module on the CPU, in evaluation mode."""
    with _reading(path), warnings.catch_warnings():
        # torch 2.13 deprecates TorchScript as a whole, yet it is how these models are published.
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        return torch.jit.load(path, map_location="cpu").eval()


def read_state_dict(path: Path) -> StateDict:
    """All tensors of a .safetensors, .ckpt or .pth file by name, on the CPU.

    Looks inside {"state_dict": ...}, as training frameworks wrap it, and passes over what is no
    tensor. Raises WeightsCorruptError if there are none.
    """
    with path.open("rb") as stream:
        head = stream.read(9)
    with _reading(path):
        if head[8:] == b"{":  # 8 bytes of length, then a JSON header
            return safetensors.torch.load_file(path)
        if not head.startswith((b"PK\x03\x04", b"\x80")):  # a zip archive, or torch's older pickle
            raise corrupt(path, "it is neither TorchScript nor torch.save nor safetensors.")
        content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise corrupt(path, "it holds no dictionary of tensors.")
    return {key: value for key, value in content.items() if isinstance(value, Tensor)}


def fill_network(network: nn.Module, state: StateDict, path: Path, device: str) -> None:
    """Copy `state` into a network that was built on the meta device, and move it to `device`.

    Compares before it allocates, so a wrong file costs no memory. Values become float32 where
    they were stored in less. `path` is for the message of WeightsCorruptError.
    """
    wanted = {key: value.shape for key, value in network.state_dict().items()}
    given = {key: value.shape for key, value in state.items()}
    if wanted != given:
        missing, unknown = len(wanted.keys() - given.keys()), len(given.keys() - wanted.keys())
        reshaped = sum(given[key] != wanted[key] for key in wanted.keys() & given.keys())
        raise corrupt(
            path,
            f"of this network's {len(wanted)} tensors {missing} are missing and {reshaped} "
            f"have another shape; {unknown} are unknown to it.",
        )
    network.to_empty(device=device)
    network.load_state_dict(state, strict=True)
    network.eval().requires_grad_(False)
