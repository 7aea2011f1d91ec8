"""Files that are not what their name says: damaged, of something else, or with code in them."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda content: content[: len(content) // 2],
    "head": lambda content: content[:40],
    "empty": lambda content: b"",
    "tail": lambda content: content[:-30],
    "page": lambda content: b"<!DOCTYPE html><title>Not found</title>",
}
"""By name: spoils the content of a good file."""


class MakesFolder:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def as_pickle(content: object) -> bytes:
    return pickle.dumps(content, protocol=2)


def as_torch_zip(content: object) -> bytes:
    """As torch.save writes a checkpoint."""
    import torch

    buffer = io.BytesIO()
    torch.save({"state_dict": content}, buffer)
    return buffer.getvalue()


def as_torchscript_zip(content: object) -> bytes:
    """An archive that passes for TorchScript."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/version", "3\n")
        archive.writestr("x/code/__torch__.py", "")
        for name in ("data", "constants"):
            archive.writestr(f"x/{name}.pkl", as_pickle(content))
    return buffer.getvalue()


PACKINGS: dict[str, Callable[[object], bytes]] = {
    "pickle": as_pickle,
    "torch-save": as_torch_zip,
    "torchscript": as_torchscript_zip,
}
"""By name: the formats that can hold a pickle."""
