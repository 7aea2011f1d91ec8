"""Folders in PaddleOCR's layout, made of the PP-OCRv6 models that ship inside the rapidocr wheel.

PaddleOCR wants a folder for each model: `inference.onnx` beside an `inference.yml` that says how
to feed it. The wheel has the ONNX files alone, so this module writes the rest; nothing is
downloaded, and the models are linked, not copied, where the file system can.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from inpaint.errors import ExtraMissingError, WeightsMissingError

logger = logging.getLogger("ray.serve")

DET_MODEL = "PP-OCRv6_small_det"
REC_MODEL = "PP-OCRv6_small_rec"
_FILES = {DET_MODEL: "PP-OCRv6_det_small.onnx", REC_MODEL: "PP-OCRv6_rec_small.onnx"}
_READ = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}


@dataclass(frozen=True, slots=True)
class ModelDirs:
    """One folder for each of the two models."""

    detection: Path
    recognition: Path


def shipped_model_dirs(cache: Path) -> ModelDirs:
    """The two model folders, made below `cache`, or in a temporary folder where that fails.

    Safe when several processes do it at once: each makes a folder of its own and renames it into
    place, and whoever comes second takes the first one's.

    Raises:
        ExtraMissingError: rapidocr is not installed.
        WeightsMissingError: the installed rapidocr ships other models.
    """
    sources = _shipped_models()
    try:
        folder = _made(cache / "inpaint-serve" / "ocr", sources)
    except OSError as error:
        logger.warning("model folders go to a temporary place: %s", type(error).__name__)
        user = os.getuid() if hasattr(os, "getuid") else 0
        try:
            folder = _made(_private(Path(tempfile.gettempdir()) / f"inpaint-serve-{user}"), sources)
        except OSError:
            folder = _made(Path(tempfile.mkdtemp(prefix="inpaint-serve-")), sources)
    return ModelDirs(folder / DET_MODEL, folder / REC_MODEL)


def silence_onnxruntime() -> None:
    """Keep ONNX Runtime from reporting its use to its makers, which it does since version 1.31.

    It looks once, when it is imported; whoever wants it sets the variable to 0.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _shipped_models() -> Mapping[str, Path]:
    found = find_spec("rapidocr")  # the package itself is not imported
    if found is None or found.origin is None:
        raise ExtraMissingError(
            "Reading text needs the Python package 'rapidocr', which is not installed on the "
            "server: pip install 'inpaint-serve[ocr]'."
        )
    models = Path(found.origin).parent / "models"
    sources = {name: models / file for name, file in _FILES.items()}
    for path in sources.values():
        if not path.is_file():
            raise WeightsMissingError(
                f"The installed rapidocr {version('rapidocr')} does not ship {path.name}; "
                "install the version that constraints.txt names."
            )
    return sources


def _private(folder: Path) -> Path:
    """`folder`, if it is this user's alone: others can write beside it, so they could own it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    stat = folder.lstat()
    if folder.is_symlink() or (hasattr(os, "getuid") and stat.st_uid != os.getuid()):
        raise PermissionError(f"{folder} is somebody else's")
    return folder


def _made(root: Path, sources: Mapping[str, Path]) -> Path:
    """The folder below `root` that belongs to exactly these files; made unless it is there."""
    target = root / f"rapidocr-{version('rapidocr')}-{_digest(sources)}"
    if _is_complete(target, sources):
        return target
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=root))
    try:
        for name, source in sources.items():
            _write_model(draft / name, name, source)
        _put(draft, target, sources)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _digest(sources: Mapping[str, Path]) -> str:
    """Changes when a file does, and when this module writes something else beside it."""
    facts = [Path(__file__).read_text(encoding="utf-8")]
    for path in sources.values():
        stat = path.stat()
        facts.append(f"{path} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _is_complete(target: Path, sources: Iterable[str]) -> bool:
    """Whether nothing has been swept out of the folder; a link whose target has gone is no file."""
    return all(
        (target / name / file).is_file()
        for name in sources
        for file in ("inference.onnx", "inference.yml")
    )


def _put(draft: Path, target: Path, sources: Iterable[str]) -> None:
    try:
        draft.rename(target)
    except OSError:
        if _is_complete(target, sources):
            return  # another process was first
        damaged = Path(tempfile.mkdtemp(prefix="draft-", dir=target.parent))
        target.rename(damaged / "damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        draft.rename(target)


def _write_model(folder: Path, name: str, source: Path) -> None:
    folder.mkdir()
    try:
        (folder / "inference.onnx").symlink_to(source)
    except OSError:  # no symbolic links here
        shutil.copyfile(source, folder / "inference.onnx")
    config = _recognition(source) if name == REC_MODEL else _detection()
    text = yaml.safe_dump({"Global": {"model_name": name}} | config, allow_unicode=True)
    (folder / "inference.yml").write_text(text, encoding="utf-8")


def _detection() -> dict[str, Any]:
    """What PaddleOCR's own folder of this model says; requests override size and thresholds."""
    normalise = {
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "scale": "1./255.",
        "order": "hwc",
    }
    steps: list[dict[str, Any]] = [
        _READ,
        {"DetLabelEncode": None},
        {"DetResizeForTest": {"resize_long": 960}},
        {"NormalizeImage": normalise},
        {"ToCHWImage": None},
    ]
    after = {
        "name": "DBPostProcess",
        "thresh": 0.3,
        "box_thresh": 0.6,
        "max_candidates": 1000,
        "unclip_ratio": 1.5,
    }
    return {"PreProcess": {"transform_ops": steps}, "PostProcess": after}


def _recognition(source: Path) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        _READ,
        {"MultiLabelEncode": None},
        {"RecResizeImg": {"image_shape": [3, 48, 320]}},
    ]
    after = {"name": "CTCLabelDecode", "character_dict": _characters(source)}
    return {"PreProcess": {"transform_ops": steps}, "PostProcess": after}


def _characters(source: Path) -> list[str]:
    """The alphabet, which rapidocr keeps inside the model file."""
    silence_onnxruntime()
    import onnxruntime

    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    return metadata["character"].splitlines()
