"""Models that take their time, so that a fault finds requests under way; and one that can hang."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from inpaint.arrays import Image, Images, Masks
from inpaint.params import Params
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec
from inpaint.texts import ReadOptions, TextRegion

SCRATCH = "STEADY_SCRATCH"
"""Environment variable with a folder of notes."""

FORWARD_S = 0.3
READING_S = 0.2


class Steady:
    """Fills the hole with grey, after FORWARD_S; never comes back where a note says `hang`."""

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        return cls()

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        note = Path(os.environ[SCRATCH]) / "hang"
        if note.exists():
            note.unlink()  # the replica that takes over works
            time.sleep(3600)
        time.sleep(FORWARD_S)
        return np.where(masks[..., None] > 0, np.uint8(127), images)


class SteadyReader:
    """Reads one line where the picture is black, after READING_S."""

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        return cls()

    def read(self, image: Image, options: ReadOptions) -> list[TextRegion]:
        time.sleep(READING_S)
        rows, columns = np.nonzero((image == 0).all(axis=2))
        if not rows.size:
            return []
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return [TextRegion(np.array(corners, np.float32), "black", 0.9, 0.9)]
