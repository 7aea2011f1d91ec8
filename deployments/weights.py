"""The weights store: where a model's files lie, and whether they may be loaded.

The layout is IOPaint's, `<model_dir>/torch/hub/checkpoints/<basename of the URL>`, so what a user
has downloaded is found. Nothing here imports torch: the edge asks for states too.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from inpaint.errors import ExtraMissingError, WeightsCorruptError, WeightsMissingError
from inpaint.specs import EXTRA_PACKAGES, Extra, ModelSpec, WeightFile
from inpaint.states import ModelState

CHECKPOINTS = PurePosixPath("torch/hub/checkpoints")


def default_model_dir(env: Mapping[str, str] = os.environ) -> Path:
    """IOPaint's: $XDG_CACHE_HOME, else ~/.cache."""
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@cache
def is_extra_installed(extra: Extra | None) -> bool:
    """Whether the packages of an install extra can be imported. Looked up once a process."""
    packages = EXTRA_PACKAGES[extra] if extra else ()
    return all(find_spec(package) is not None for package in packages)


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive: code, not only numbers."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return any(PurePosixPath(name).name == "constants.pkl" for name in names)


class WeightsStore:
    """Finds and verifies weight files. One per process; safe to call from any thread.

    Args:
        model_dir: the folder that holds `torch/hub/checkpoints`; None for IOPaint's default.
        trust_unverified: load TorchScript files whose checksum nobody has stated. TorchScript is
            code: switch this on for your own files only.
    """

    def __init__(self, model_dir: Path | None = None, *, trust_unverified: bool = False) -> None:
        self.checkpoints = (model_dir or default_model_dir()) / CHECKPOINTS
        self._trust_unverified = trust_unverified
        self._digests: dict[tuple[Path, int, int], str] = {}

    def state(self, spec: ModelSpec) -> ModelState:
        """What this machine has of the model. Costs a few stat calls and loads nothing."""
        if not is_extra_installed(spec.extra):
            return ModelState.EXTRA_MISSING
        if any(self._find(file) is None for file in spec.weights):
            return ModelState.MISSING
        return ModelState.DOWNLOADED

    def verified(self, spec: ModelSpec) -> Sequence[Path]:
        """One file for each entry of `spec.weights`, checked before anybody unpickles it.

        Raises:
            ExtraMissingError: the packages to load them with are not installed.
            WeightsMissingError: a file is not there.
            WeightsCorruptError: a checksum differs, or a TorchScript file has none.
        """
        if not is_extra_installed(spec.extra):
            raise ExtraMissingError(
                f"The model '{spec.name}' needs the install extra [{spec.extra}]: "
                f"pip install 'inpaint-serve[{spec.extra}]' on the server."
            )
        return [self._verified(spec, file) for file in spec.weights]

    def _verified(self, spec: ModelSpec, file: WeightFile) -> Path:
        path = self._find(file)
        if path is None:
            raise WeightsMissingError(
                f"The weights of '{spec.name}' are missing: fetch {_source(file)} and put "
                f"the file into {CHECKPOINTS} of the server's model directory.",
                {"model": spec.name, "folder": str(self.checkpoints)},
            )
        expected = self._expected_digest(file, path)
        if expected is None:
            self._check_trusted(spec, path)
        elif self._digest(path) != expected:
            raise WeightsCorruptError(
                f"{path.name}, the weights of '{spec.name}', is not the published file: its MD5 "
                f"is not {expected}. Delete it and fetch it again; it was not loaded.",
                {"model": spec.name, "path": str(path)},
            )
        return path

    def _check_trusted(self, spec: ModelSpec, path: Path) -> None:
        try:
            is_code = is_torchscript(path)
        except zipfile.BadZipFile as error:
            raise WeightsCorruptError(
                f"{path.name}, the weights of '{spec.name}', is a damaged archive. Delete it and "
                "fetch it again; it was not loaded.",
                {"model": spec.name, "path": str(path)},
            ) from error
        if is_code and not self._trust_unverified:
            raise WeightsCorruptError(
                f"{path.name}, the weights of '{spec.name}', is TorchScript of unknown checksum. "
                "State its md5 in the model's YAML, or set trust_unverified_weights in the "
                "Serve config; it was not loaded.",
                {"model": spec.name, "path": str(path)},
            )

    def _find(self, file: WeightFile) -> Path | None:
        override = _override(file)
        if override and Path(override).is_file():
            return Path(override)
        names = (_file_name(override or file.url), *file.alternatives)
        paths = (self.checkpoints / name for name in names)
        return next((path for path in paths if path.is_file()), None)

    def _expected_digest(self, file: WeightFile, path: Path) -> str | None:
        """The MD5 that `path` must have; alternatives and other URLs have none of their own."""
        override = _override(file)
        if path.name != _file_name(override or file.url):
            return None
        stated = os.environ.get(f"{file.env}_MODEL_MD5")
        return stated or (None if override else file.md5)

    def _digest(self, path: Path) -> str:
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key not in self._digests:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
            self._digests[key] = digest.hexdigest()
        return self._digests[key]


def _override(file: WeightFile) -> str:
    """The URL or path that the operator states instead of the published URL; "" for none."""
    return os.environ.get(f"{file.env}_MODEL_URL", "")


def _file_name(url: str) -> str:
    """What IOPaint calls the file of this URL in its folder."""
    return PurePosixPath(urlsplit(url).path).name


def _source(file: WeightFile) -> str:
    """Where to get the file, for clients: an operator's own address stays out."""
    return f"what {file.env}_MODEL_URL names" if _override(file) else file.url
