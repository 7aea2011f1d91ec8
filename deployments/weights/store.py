"""What this machine has of a model's weights, and whether it may be loaded."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from deployments.weights.checksums import Digests, is_torchscript
from deployments.weights.extras import is_extra_installed, missing_extra
from deployments.weights.hub import files_of, find_snapshot
from deployments.weights.layout import (
    CHECKPOINTS,
    HUB,
    default_model_dir,
    file_name,
    lock_of,
    override_of,
    repository_folder,
    source_of,
    stated_md5,
)
from deployments.weights.locks import is_held
from inpaint.errors import WeightsCorruptError, WeightsMissingError
from inpaint.specs import HubRepository, WeightFile, WeightsSpec
from inpaint.states import ModelState

FETCH_COMMAND = "python main.py download --model={}"


class WeightsStore:
    """Finds and verifies weights. One per process; safe to call from any thread.

    The layout is IOPaint's, so what a user has downloaded is found.

    Args:
        model_dir: the folder that holds `torch/hub/checkpoints` and `huggingface/hub`; None for
            IOPaint's default.
        trust_unverified: load TorchScript files whose checksum nobody has stated. TorchScript is
            code: switch this on for your own files only.
    """

    def __init__(self, model_dir: Path | None = None, trust_unverified: bool = False) -> None:
        self.model_dir = model_dir or default_model_dir()
        self.checkpoints = self.model_dir / CHECKPOINTS
        self.hub = self.model_dir / HUB
        self.digests = Digests()
        self._trust_unverified = trust_unverified

    def state(self, spec: WeightsSpec) -> ModelState:
        """What this machine has of the model. Costs a few stat calls and loads nothing."""
        if not is_extra_installed(spec.extra):
            return ModelState.EXTRA_MISSING
        if self._paths(spec) is not None:
            return ModelState.DOWNLOADED
        is_arriving = any(is_held(lock) for lock in self._locks(spec))
        return ModelState.DOWNLOADING if is_arriving else ModelState.MISSING

    def verified(self, spec: WeightsSpec) -> Sequence[Path]:
        """What a runner loads, checked before anybody unpickles it.

        A file for each entry of `spec.weights`, then the snapshot folder of `spec.repository`, then
        what lies at `spec.path`.

        Raises:
            ExtraMissingError: the packages to load them with are not installed.
            WeightsMissingError: a file is not there.
            WeightsCorruptError: a checksum differs, or a TorchScript file has none.
        """
        if not is_extra_installed(spec.extra):
            raise missing_extra(spec)
        paths = [self._verified(spec, file) for file in spec.weights]
        if spec.repository:
            paths.append(self._snapshot(spec, spec.repository))
        if spec.path:
            paths.append(self._own(spec, spec.path))
        return paths

    def check(self, spec: WeightsSpec) -> None:
        """Compare the checksums of the files that are here; code without one is no matter here.

        Raises:
            WeightsCorruptError: one differs.
        """
        for file in spec.weights:
            path = self.find(file)
            if path is not None:
                self._check_digest(spec, file, path)

    def size_on_disk(self, spec: WeightsSpec) -> int | None:
        """Bytes of the model's weights; None where they are not all here."""
        paths = self._paths(spec)
        if paths is None:
            return None
        files = (list(files_of(path).values()) if path.is_dir() else [path] for path in paths)
        return sum(file.stat().st_size for members in files for file in members)

    def find(self, file: WeightFile) -> Path | None:
        """Where a file is: where its override says, else in the folder of checkpoints."""
        override = override_of(file)
        if override and Path(override).is_file():
            return Path(override)
        names = (file_name(override or file.url), *file.alternatives)
        paths = (self.checkpoints / name for name in names)
        return next((path for path in paths if path.is_file()), None)

    def target(self, file: WeightFile) -> Path:
        """Where a file is put when it is fetched."""
        return self.checkpoints / file_name(override_of(file) or file.url)

    def missing(self, spec: WeightsSpec) -> WeightsMissingError:
        """The error of a model whose weights are not here."""
        if spec.path is not None:
            return WeightsMissingError(
                f"The weights of '{spec.name}' are missing: {spec.path.name} is no longer in its "
                "folder on the server. Put it back, or start the server anew.",
                {"model": spec.name, "folder": str(self.model_dir)},
            )
        files = [source_of(file) for file in spec.weights if self.find(file) is None]
        by_hand = (
            f", or put {files[0]} into {CHECKPOINTS} of its model directory"
            if len(files) == 1
            else ""
        )
        return WeightsMissingError(
            f"The weights of '{spec.name}' are missing: run `{FETCH_COMMAND.format(spec.name)}` "
            f"on the server{by_hand}. Add --serve-config=FILE if the server runs with one.",
            {"model": spec.name, "folder": str(self.model_dir)},
        )

    def _paths(self, spec: WeightsSpec) -> list[Path] | None:
        """All that the model needs; None where a part is missing."""
        paths = [self.find(file) for file in spec.weights]
        if spec.repository:
            paths.append(find_snapshot(self.hub, spec.repository))
        if spec.path:
            own = self.model_dir / spec.path
            paths.append(own if own.exists() else None)
        found = [path for path in paths if path is not None]
        return found if len(found) == len(paths) else None

    def _locks(self, spec: WeightsSpec) -> list[Path]:
        locks = [lock_of(self.target(file)) for file in spec.weights]
        sources = spec.repository.sources if spec.repository else ()
        return [*locks, *(lock_of(repository_folder(self.hub, source)) for source in sources)]

    def _snapshot(self, spec: WeightsSpec, repository: HubRepository) -> Path:
        snapshot = find_snapshot(self.hub, repository)
        if snapshot is None:
            raise self.missing(spec)
        return snapshot

    def _own(self, spec: WeightsSpec, path: Path) -> Path:
        own = self.model_dir / path
        if not own.exists():
            raise self.missing(spec)
        if own.is_file():
            self._check_trusted(spec, own)
        return own

    def _verified(self, spec: WeightsSpec, file: WeightFile) -> Path:
        path = self.find(file)
        if path is None:
            raise self.missing(spec)
        if not self._check_digest(spec, file, path):
            self._check_trusted(spec, path)
        return path

    def _check_digest(self, spec: WeightsSpec, file: WeightFile, path: Path) -> bool:
        """Compare the checksum, if somebody states one for this file; whether one did."""
        # Alternatives and files that lie under another name have none of their own.
        expected = stated_md5(file) if path.name == self.target(file).name else None
        if expected is not None and self.digests.of(path) != expected:
            raise WeightsCorruptError(
                f"{path.name}, the weights of '{spec.name}', is not the published file: its MD5 "
                f"is not {expected}. Delete it and fetch it again; it was not loaded.",
                {"model": spec.name, "path": str(path)},
            )
        return expected is not None

    def _check_trusted(self, spec: WeightsSpec, path: Path) -> None:
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
