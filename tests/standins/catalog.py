"""Stand-in weights for every shipped erase model, in a model directory as IOPaint lays it out."""

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from inpaint.catalog import Catalog
from inpaint.resources import configs_dir
from inpaint.specs import Kind, ModelSpec, WeightFile
from tests.standins import md5_of
from tests.standins.fcf import write_fcf
from tests.standins.lama import write_lama_torchscript
from tests.standins.ldm import write_ldm_torchscript
from tests.standins.manga import write_manga
from tests.standins.mat import write_mat
from tests.standins.migan import write_migan
from tests.standins.zits import write_zits_torchscript


def write_nothing(folder: Path) -> None:
    """For models without weights."""


def write_lama(folder: Path) -> None:
    write_lama_torchscript(folder / "big-lama.pt")


def write_anime_lama(folder: Path) -> None:
    write_lama_torchscript(folder / "anime-manga-big-lama.pt", seed=1)


WRITERS: dict[str, Callable[[Path], object]] = {
    "cv2": write_nothing,
    "lama": write_lama,
    "anime-lama": write_anime_lama,
    "ldm": write_ldm_torchscript,
    "zits": write_zits_torchscript,
    "mat": write_mat,
    "fcf": write_fcf,
    "manga": write_manga,
    "migan": write_migan,
}
"""By model: writes all of its files, under their published names, into the folder it is given."""


def erase_models() -> tuple[ModelSpec, ...]:
    """The shipped erase models, as configs/models has them."""
    models = Catalog.from_dirs([configs_dir() / "models"]).models
    return tuple(spec for spec in models if spec.kind is Kind.ERASE)


def checkpoints_of(model_dir: Path) -> Path:
    """Where the files lie below a model directory; made if it is not there."""
    folder = model_dir / "torch/hub/checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_stand_ins(model_dir: Path, names: Iterable[str] | None = None) -> None:
    """The files of the models called `names`, or of all."""
    for name in WRITERS if names is None else names:
        WRITERS[name](checkpoints_of(model_dir))


def stand_in_specs(model_dir: Path) -> tuple[ModelSpec, ...]:
    """The shipped erase models with the checksums of the files that are there."""
    return tuple(with_checksums(spec, model_dir) for spec in erase_models())


def with_checksums(spec: ModelSpec, model_dir: Path) -> ModelSpec:
    """`spec` with the checksums of the files that are there; those of others stay."""
    weights = tuple(
        file.model_copy(update={"md5": md5_of(path)}) if path.is_file() else file
        for file, path in ((file, path_of(file, model_dir)) for file in spec.weights)
    )
    return spec.model_copy(update={"weights": weights})


def checksum_variables(model_dir: Path) -> dict[str, str]:
    """Environment variables that state the same, for whole services."""
    return {
        f"{file.env}_MODEL_MD5": file.md5
        for spec in stand_in_specs(model_dir)
        for file in spec.weights
        if file.md5 and path_of(file, model_dir).is_file()
    }


def path_of(file: WeightFile, model_dir: Path) -> Path:
    """Where a model's file lies."""
    return checkpoints_of(model_dir) / PurePosixPath(file.url).name
