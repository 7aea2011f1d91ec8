"""A diffusion model that takes its time and writes down what it does."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from inpaint.arrays import Image, Mask
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

SCRATCH = "AWKWARD_MODELS_SCRATCH"
"""Environment variable with a folder in which the model remembers across processes."""

STEP_S = "STEPS_MODEL_STEP_S"
"""Environment variable with the seconds that a step takes."""


class Steps:
    """Adds the seed's noise to the hole, a little with each step.

    Lines of steps.log: prompt, number of the step (0 where the run begins), time of day.
    A prompt of "die once" kills the process at step 3, the first time; one of "memory" does not
    fit into memory.
    """

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        return cls()

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
        _note(params.prompt, 0)
        if params.prompt == "memory":
            raise MemoryError("tried to allocate at /secret/path")
        generator = np.random.default_rng(params.seed)
        painted = image.copy()
        for number in range(1, params.sd_steps + 1):
            time.sleep(float(os.environ.get(STEP_S, "0.2")))
            if params.prompt == "die once" and number == 3:
                _die_once()
            noise = generator.integers(0, 256, image.shape, np.uint8)
            painted[mask > 0] += noise[mask > 0]
            _note(params.prompt, number)
            preview = np.ascontiguousarray(painted[::8, ::8]) if previews else None
            on_step(Step(number, params.sd_steps, preview))
        return painted


class ShownExample(Steps):
    """The hole is of the colour in the example's upper left corner; runs are not written down."""

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
        if example is None:
            raise ValueError("there is no example")
        for number in range(1, params.sd_steps + 1):
            on_step(Step(number, params.sd_steps))
        painted = image.copy()
        painted[mask > 0] = example[0, 0]
        return painted


def _note(prompt: str, number: int) -> None:
    with (Path(os.environ[SCRATCH]) / "steps.log").open("a") as log:
        log.write(f"{prompt}\t{number}\t{time.time()}\n")


def _die_once() -> None:
    note = Path(os.environ[SCRATCH]) / "died-in-steps"
    if not note.exists():
        note.touch()
        os._exit(1)
