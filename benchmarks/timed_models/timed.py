"""Models that only wait, so that what surrounds them is what is measured.

How long: the environment variable TIMED_<MODEL>_S, such as TIMED_ERASE_S for the model
`timed-erase`; without it what stands in SECONDS. The wait holds the replica's one thread, as a
forward on a device does, and takes none of the machine's cores.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from inpaint.arrays import Image, Images, Mask, Masks
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.params import DiffusionParams, Params
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

SECONDS = {"timed-erase": 1.0, "timed-sd15": 3.0, "timed-sdxl": 8.0}
"""One picture each; about what the real ones take on a small GPU."""


def variable_of(model: str) -> str:
    """The environment variable with the seconds that a picture takes."""
    return f"{model.replace('-', '_').upper()}_S"


def seconds_of(model: str) -> float:
    """How long a picture takes in this process."""
    return float(os.environ.get(variable_of(model), SECONDS[model]))


class TimedErase:
    """Waits for each picture and gives it back with a grey hole."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel."""
        return cls(seconds_of(spec.name))

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        """See InpaintModel."""
        time.sleep(self._seconds * len(images))
        painted = images.copy()
        painted[masks > 0] = 128
        return painted


class TimedSteps:
    """Waits for each picture, in as many equal steps as are asked for; the same hole."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        """See DiffusionModel."""
        return cls(seconds_of(spec.name))

    def paint(
        self,
        image: Image,
        mask: Mask,
        params: DiffusionParams,
        adapters: Mapping[str, Path],
        on_step: Callable[[Step], None],
        previews: bool = False,
        example: Image | None = None,
    ) -> Image:
        """See DiffusionModel."""
        began = time.monotonic()
        for number in range(1, params.sd_steps + 1):
            due = began + self._seconds * number / params.sd_steps
            time.sleep(max(0.0, due - time.monotonic()))  # what one was late by is not added up
            on_step(Step(number, params.sd_steps))
        painted = image.copy()
        painted[mask > 0] = 128
        return painted
