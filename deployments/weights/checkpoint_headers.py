"""Names and shapes of the tensors in a checkpoint, read without its numbers and without torch.

Nothing in a file is executed: safetensors begins with JSON, and of a pickle only a handful of
harmless names are known here, none of which is looked up by the file's word.
"""

import json
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from inpaint.checkpoint_shapes import NotAModelError, Shapes

SAFETENSORS_HEADER_BYTES = 100_000_000
"""What the format allows."""
PICKLE_BYTES = 2**26
"""A published checkpoint's is below 2 MB."""
OLD_FORMAT_PICKLES = 3
"""Before torch 1.6 a file began with a magic number, a version and facts about the machine."""

_DAMAGED = "it is damaged or breaks off"
_MALFORMED = (
    *(EOFError, OSError, ValueError, TypeError, LookupError, AttributeError),
    *(MemoryError, RecursionError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error),
    NotImplementedError,
)
"""What json, zipfile and pickle raise on wrong bytes."""


def read_shapes(path: Path) -> Shapes:
    """Every tensor's name and shape.

    Raises:
        NotAModelError: the file is damaged, of another format, or holds more than tensors.
        OSError: it cannot be opened.
    """
    with path.open("rb") as stream:
        try:
            head = stream.read(9)
            stream.seek(0)
            if head[8:] == b"{":
                return _read_safetensors(stream, path.stat().st_size)
            if head.startswith(b"PK\x03\x04"):
                return _read_archive(stream)
            if head.startswith(b"\x80"):
                return _read_old_format(stream)
        except NotAModelError:
            raise
        except _MALFORMED as error:
            raise NotAModelError(_DAMAGED) from error
    raise NotAModelError("it is neither safetensors nor a torch.save file")


def _read_safetensors(stream: BinaryIO, size: int) -> Shapes:
    """Layout: 8 bytes with the header's length, the header in JSON, the numbers."""
    length = int.from_bytes(stream.read(8), "little")
    if not 0 < length <= min(SAFETENSORS_HEADER_BYTES, size - 8):
        raise NotAModelError(_DAMAGED)
    header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    ends = [entry["data_offsets"][1] for entry in header.values()]
    if 8 + length + max(ends, default=0) != size:
        raise NotAModelError(_DAMAGED)
    return {name: _shape(entry["shape"]) for name, entry in header.items()}


def _read_archive(stream: BinaryIO) -> Shapes:
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            raise NotAModelError("it is TorchScript, and not a checkpoint")
        [name] = [name for name in names if name.endswith("/data.pkl")]
        if archive.getinfo(name).file_size > PICKLE_BYTES:
            raise NotAModelError(_DAMAGED)
        with archive.open(name) as content:
            return _shapes_in(_Reader(content).load())


def _read_old_format(stream: BinaryIO) -> Shapes:
    for _ in range(OLD_FORMAT_PICKLES):
        _Reader(stream).load()
    return _shapes_in(_Reader(stream).load())


def _shapes_in(content: object) -> Shapes:
    """The tensors of a state dict, which training frameworks wrap once more."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise NotAModelError("it holds no dictionary of tensors")
    return {
        str(name): tuple(tensor) for name, tensor in content.items() if isinstance(tensor, _Tensor)
    }


class _Tensor(tuple[int, ...]):
    """Stands for a tensor: its shape. Takes no state, as nothing does that a pickle reaches."""

    __slots__ = ()


def _shape(numbers: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in numbers)


class _RebuildTensor:
    """What torch.save writes for a tensor: storage, offset, size, and what is of no use here."""

    __slots__ = ()

    def __call__(self, storage: object, offset: object, size: Any, *_: object) -> _Tensor:
        return _Tensor(_shape(size))


class _RebuildParameter:
    """What it writes for a parameter: a tensor, and what is of no use here."""

    __slots__ = ()

    def __call__(self, tensor: object, *_: object) -> object:
        return tensor


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _RebuildTensor(),
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
}


class _Reader(pickle._Unpickler):
    """Reads the structure of a pickle; every name that it does not know ends the reading.

    The one in Python, not in C: there, a few bytes can claim a table of gigabytes.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Never imports anything."""
        if module == "torch" and name.endswith("Storage"):
            return name  # a kind of numbers, which are not read
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise NotAModelError(
                f"it holds Python objects besides tensors ({module}.{name}), which can run code; "
                "get it as .safetensors"
            ) from None

    def persistent_load(self, pid: object) -> object:
        """The numbers themselves, which are not read."""
        return None
