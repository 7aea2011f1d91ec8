"""What a picture file shows, and how far two of them lie apart."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Pillow

Levels = np.ndarray[Any, np.dtype[np.int16]]

MEAN_SLACK, MAX_SLACK = 0.25, 8
"""How much farther from the truth than IOPaint's lossy answer ours may lie, in levels.

Two encoders of one quality differ in chroma subsampling, in their version, and GIF's in how they
choose a palette (ours keeps one entry for transparency: 0.20 on average, 5 at most). So the two
answers are not held against each other but each against the lossless answer. A hole that is not
filled lies farther off than this: it is a twelfth of the picture and off by tens of levels.
"""


@dataclass(frozen=True)
class Shown:
    """A decoded picture.

    Attributes:
        format: Pillow's name.
        colours: (H, W, 3).
        alpha: (H, W), if the file has transparency.
        notes: the metadata that matters to people.
    """

    format: str
    colours: Levels
    alpha: Levels | None
    notes: dict[str, str]


def decode(data: bytes) -> Shown:
    """A file's first frame, as it is stored: an EXIF orientation would show up as a size."""
    picture = Pillow.open(io.BytesIO(data))
    has_alpha = picture.has_transparency_data
    array = np.asarray(picture.convert("RGBA" if has_alpha else "RGB"), np.int16)
    return Shown(
        str(picture.format), array[..., :3], array[..., 3] if has_alpha else None, _notes(picture)
    )


def _notes(picture: Pillow.Image) -> dict[str, str]:
    icc = picture.info.get("icc_profile")
    dpi = picture.info.get("dpi")
    tags = {f"{tag:#06x}": str(value) for tag, value in sorted(picture.getexif().items())}
    if picture.format == "TIFF":  # Pillow shows the file's own tags as EXIF
        tags = {}
    return {
        "ICC": f"{len(icc)} bytes" if icc else "none",
        "EXIF": ", ".join(tags) or "none",
        "dpi": f"{float(dpi[0]):.0f}x{float(dpi[1]):.0f}" if dpi else "none",
        "parameters": "kept" if picture.info.get("parameters") else "none",
    }


def distance(one: Shown, other: Shown) -> int | None:
    """The largest difference of any colour or alpha; None where sizes differ.

    Where only one has alpha, colours alone are compared.
    """
    if one.colours.shape != other.colours.shape:
        return None
    farthest = int(np.abs(one.colours - other.colours).max())
    if one.alpha is not None and other.alpha is not None:
        farthest = max(farthest, int(np.abs(one.alpha - other.alpha).max()))
    return farthest


@dataclass(frozen=True)
class Loss:
    """How far a lossy picture lies from the true one, in levels: on average, and at most."""

    mean: float
    most: int

    def __str__(self) -> str:
        return f"{self.mean:.2f}, at most {self.most}"


def loss(shown: Shown, truth: Shown) -> Loss | None:
    """Over the colours of pixels that can be seen; None where sizes differ."""
    if shown.colours.shape != truth.colours.shape:
        return None
    off = np.abs(shown.colours - truth.colours)
    if truth.alpha is not None:
        off = off[truth.alpha > 0]
    return Loss(float(off.mean()), int(off.max()))
