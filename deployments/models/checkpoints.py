"""Weight files as the published models come: TorchScript, torch.save archives, safetensors.

What a file is, its content says and not its name. A file of numbers is read without running any
code that it may hold; TorchScript is code, and the weights store lets only known files through.
"""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from deployments.devices import trouble_of
from deployments.weights import is_torchscript
from inpaint.errors import WeightsCorruptError

StateDict = dict[str, Tensor]

UNREADABLE = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(EOFError, struct.error, zipfile.BadZipFile, SafetensorError),
)
"""What the three parsers were seen to raise, or can raise by their source, on damaged bytes."""


def corrupt(path: Path, reason: str, root: Path | None = None) -> WeightsCorruptError:
    """The error for `path`; its text names the file without its folder, or as seen from `root`."""
    name = path.relative_to(root).as_posix() if root and path != root else path.name
    return WeightsCorruptError(f"{name} cannot be used: {reason}", {"path": str(path)})


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn a parser's error into ours."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise corrupt(path, "it is damaged, or holds Python objects besides tensors.") from error
    except UNREADABLE as error:
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


def read_probed_torchscript(
    path: Path, network: str, probe: Callable[[torch.jit.ScriptModule], bool]
) -> torch.jit.ScriptModule:
    """The module on the CPU, after it has shown by a small forward that it is the right one.

    Args:
        path: a TorchScript file.
        network: what it should hold, for the message: "LaMa".
        probe: calls the module as the runner will, on the smallest input that it takes, and says
            whether the answer is of the right kind (see `is_tensor`).

    Raises:
        WeightsCorruptError: the file is damaged or holds something else.
    """
    module = read_torchscript(path)
    try:
        with torch.inference_mode():
            is_right = probe(module)
    except (RuntimeError, AttributeError, LookupError, TypeError, ValueError) as error:
        if trouble_of(error):  # says nothing about the file
            raise
        raise corrupt(path, f"as TorchScript it does not take what {network} takes.") from error
    if not is_right:
        raise corrupt(path, f"as TorchScript it does not answer as {network} does.")
    return module


def is_tensor(answer: object, shape: Sequence[int]) -> bool:
    """Whether a network's answer is one floating-point tensor of `shape`."""
    return (
        isinstance(answer, Tensor)
        and answer.is_floating_point()
        and answer.shape == torch.Size(shape)
    )


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
        if is_torchscript(path):  # torch.load would pass it on to torch.jit.load
            raise corrupt(path, "it is TorchScript, and a state dict is wanted.")
        with path.open("rb") as stream:  # given a name, torch.load goes by its ending
            content = torch.load(stream, map_location="cpu", weights_only=True)
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
