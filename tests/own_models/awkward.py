"""Models of the tests' own: a user's folder with code and YAML, and models that misbehave."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from inpaint.arrays import Image, Images, Masks
from inpaint.params import Params
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec
from inpaint.texts import ReadOptions, TextRegion

SCRATCH = "AWKWARD_MODELS_SCRATCH"
"""Environment variable with a folder in which models remember across processes."""


class MeanFill:
    """Fills the hole with the mean colour of what is kept."""

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        return cls()

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        filled = images.copy()
        for image, mask in zip(filled, masks, strict=True):
            kept = image[mask == 0]
            image[mask > 0] = kept.mean(axis=0).round() if kept.size else 127
        return filled


class Noise(MeanFill):
    """Fills the hole with noise of the request's seed."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        noise = np.random.default_rng(params.seed).integers(0, 256, images.shape, np.uint8)
        return np.where(masks[..., None] > 0, noise, images)


class Slow(MeanFill):
    """Takes as many seconds as the environment says, and leaves a line when it has run."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        time.sleep(float(os.environ.get("AWKWARD_MODELS_SLOW_S", "1")))
        with (Path(os.environ[SCRATCH]) / "slow.log").open("a") as log:
            log.write("ran\n")
        return super().forward(images, masks, params)


class DiesOnce(MeanFill):
    """Kills its process at the first forward; the next process finds a note and works."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        note = Path(os.environ[SCRATCH]) / "died"
        if not note.exists():
            note.touch()
            os._exit(1)
        return super().forward(images, masks, params)


class Deadly(MeanFill):
    """Kills its process at every forward whose picture is red in the first pixel."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        if tuple(images[0, 0, 0]) == (255, 0, 0):
            os._exit(1)
        return super().forward(images, masks, params)


class Broken(MeanFill):
    """Fails in three ways, by the colour of the first pixel."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        red, green, _ = images[0, 0, 0]
        if red == 255:
            raise MemoryError("tried to allocate at /secret/path")
        if green == 255:
            return np.asarray(cv2.cvtColor(images[0], cv2.COLOR_RGB2GRAY))
        raise RuntimeError("a text that nobody outside should see")


class DyingReader:
    """Reads one line where the picture is black; kills its process the first time it reads.

    A picture that is green in its first pixel is read slowly.
    """

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        return cls()

    def read(self, image: Image, options: ReadOptions) -> list[TextRegion]:
        note = Path(os.environ[SCRATCH]) / "reader-died"
        if not note.exists():
            note.touch()
            os._exit(1)
        if tuple(image[0, 0]) == (0, 255, 0):
            time.sleep(1.5)
        rows, columns = np.nonzero((image == 0).all(axis=2))
        if not rows.size:
            return []
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return [TextRegion(np.array(corners, np.float32), "black", 0.9, 0.9)]
