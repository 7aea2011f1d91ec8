"""Text found in a picture, and how it is looked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from inpaint.arrays import Image
from inpaint.specs import ModelSpec, Spec

Polygon = NDArray[np.float32]
"""(N, 2) corner points, x then y, in pixels of the picture, clockwise from the text's top left."""


@dataclass(frozen=True, slots=True)
class TextRegion:
    """One line of text."""

    polygon: Polygon
    text: str
    score: float
    """How sure the reader is of `text`, 0 to 1."""
    detection_score: float
    """How sure the detector is that there is text at all, 0 to 1."""

    @property
    def height_px(self) -> float:
        """The line's height across its reading direction.

        Of a quad, the mean of its second and fourth side, so that a single upright "I" is as high
        as its neighbours; of any other polygon, the width of a strip with its area and perimeter.
        """
        sides = np.linalg.norm(self.polygon - np.roll(self.polygon, -1, axis=0), axis=1)
        if len(sides) == 4:
            return float((sides[1] + sides[3]) / 2)
        # length * height = area, 2 * (length + height) = perimeter
        quarter = float(sides.sum()) / 4
        area = cv2.contourArea(self.polygon) if len(sides) > 2 else 0.0
        return quarter - math.sqrt(max(quarter**2 - area, 0.0))


class ReadOptions(Spec):
    """How one picture is read. The thresholds are PaddleOCR's, lower than its own defaults."""

    recognise: bool = Field(
        default=True, description="Read the lines, too; without, only where they are."
    )
    thresh: float = Field(
        default=0.2, gt=0, le=1, description="How sure the detector must be of a pixel."
    )
    box_thresh: float = Field(
        default=0.4, gt=0, le=1, description="How sure it must be of a line, on average."
    )
    unclip_ratio: float = Field(
        default=1.5, gt=0, le=5, description="How far outlines are grown around the letters."
    )
    min_score: float = Field(
        default=0.0, ge=0, le=1, description="Lines that are read less surely are left out."
    )
    multiscale: bool = Field(
        default=True,
        description="Look at tiles of the full size and at the whole, made small; without, only "
        "at the whole, its longer side at most 960 px.",
    )
    zoom: float = Field(
        default=1.0,
        ge=0.25,
        le=4,
        description="How large the tiles are looked at, as far as the server's pixels for one "
        "picture allow.",
    )


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What an OCR family answers for one picture."""

    regions: list[TextRegion]
    """In reading order."""
    queue_ms: float
    """From the picture's arrival at the replica to the start of its reading, loading included."""
    read_ms: float


class ReaderOptions(Spec):
    """How an OCR family loads its reader."""

    device: str = "cpu"
    threads: int = Field(default=1, ge=1)
    engine: Literal["onnxruntime", "paddle"] = "onnxruntime"
    det_model: str | None = None
    """A name that PaddleOCR knows and downloads; None for the model that is shipped."""
    rec_model: str | None = None
    max_detector_pixels: int = Field(default=8_000_000, ge=32 * 32)
    """What the detector may see of one picture, all scales and tiles together."""


class TextReader(Protocol):
    """Finds and reads text. One instance serves one replica, one call at a time, on one thread."""

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: ReaderOptions) -> Self:
        """Make the reader ready; `weights` are the verified files of `spec.weights`."""
        ...

    def read(self, image: Image, options: ReadOptions) -> list[TextRegion]:
        """Text of `image`, (H, W, 3) uint8 RGB, read-only; in reading order.

        `options` hold for this call alone.
        """
        ...
