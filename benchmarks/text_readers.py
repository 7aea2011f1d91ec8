"""The two readers of the text removal benchmark, and what counts as a line still being read."""

import difflib
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.text_scenes import Line
from deployments.models.paddle_ocr import PaddleOcr
from inpaint.arrays import Image
from inpaint.specs import Kind, Licence, ModelSpec
from inpaint.texts import ReaderOptions, ReadOptions, TextRegion

Read = Callable[[Image], Sequence[TextRegion]]

LIKE = 0.6
"""A line counts as read when what is found in its place is this similar to its text."""
NEAR = 0.5
"""How far outside a line's quad a find may have its centre, in line heights."""


def project_reader(options: ReadOptions, threads: int = 2) -> Read:
    """The project's own OCR, as its replicas load it."""
    spec = ModelSpec(
        name="pp-ocrv6-small",
        family="OCR",
        kind=Kind.OCR,
        runner="deployments.models.paddle_ocr:PaddleOcr",
        licence=Licence(name="Apache-2.0", commercial_use=True),
        memory_mb=0,
    )
    reader = PaddleOcr.load(spec, (), ReaderOptions(threads=threads))
    return lambda image: reader.read(image, options)


def second_reader(folder: Path | None) -> Read | None:
    """rapidocr-onnxruntime 1.4 with PP-OCRv4, which the project does not use; None if absent.

    Args:
        folder: where `pip install --no-deps --target FOLDER rapidocr-onnxruntime` put it, unless
            it is installed.
    """
    if folder is not None:
        sys.path.append(str(folder))
    try:
        module = importlib.import_module("rapidocr_onnxruntime")
    except ModuleNotFoundError:
        return None
    reader = module.RapidOCR(intra_op_num_threads=2)

    def read(image: Image) -> list[TextRegion]:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        # It keeps settings from call to call: all three are given each time.
        found, _ = reader(bgr, use_cls=True, box_thresh=0.5, unclip_ratio=1.6, text_score=0.5)
        return [
            TextRegion(np.asarray(quad, np.float32), str(text), float(score), 1.0)
            for quad, text, score in found or []
        ]

    return read


def is_read(line: Line, found: Sequence[TextRegion]) -> bool:
    """Whether the line's words, or most of them, are found in its place."""
    here = [region for region in found if _is_at(line, region)]
    here.sort(key=lambda region: _along(line, region))
    readings = [region.text for region in here]
    return any(_like(line.text, text) >= LIKE for text in [*readings, "".join(readings)])


def _like(truth: str, text: str) -> float:
    wanted, found = _letters(truth), _letters(text)
    alike = difflib.SequenceMatcher(None, wanted, found, autojunk=False).ratio()
    return alike if wanted and found else 0.0


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _is_at(line: Line, region: TextRegion) -> bool:
    x, y = region.polygon.mean(axis=0).tolist()
    return cv2.pointPolygonTest(line.quad, (x, y), True) >= -NEAR * line.size_px


def _along(line: Line, region: TextRegion) -> float:
    """Where the region begins in reading direction."""
    direction = line.quad[1] - line.quad[0]
    return float(np.dot(region.polygon.mean(axis=0) - line.quad[0], direction))
