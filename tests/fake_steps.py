"""Stand-ins for diffusion models: each shows one behaviour. "tests.fake_steps:Stepping"."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from inpaint.arrays import Image, Mask
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.errors import ContentRefusedError
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec
from tests.fakes import fake_spec

LIMIT_S = 5


def step_spec(name: str = "steps", runner: str = "Stepping", **more: object) -> ModelSpec:
    """A catalog entry for a model of this module."""
    runner = f"tests.fake_steps:{runner}"
    return fake_spec(name, runner, kind="diffusion", family="Painters", **more)


class Stepping:
    """Satisfies DiffusionModel: the hole becomes (seed, steps, 200).

    Where a test sets `permits`, each step waits for one.
    """

    permits: ClassVar[threading.Semaphore | None] = None
    begun: ClassVar[list[str]] = []
    """Prompts of the runs that have begun, in order."""
    taken: ClassVar[list[tuple[str, int]]] = []
    """Prompt and number of every step that was taken, in order."""

    def __init__(
        self, spec: ModelSpec, options: LoadOptions, at_loading: Mapping[str, Path]
    ) -> None:
        self.options = options
        self.at_loading = dict(at_loading)

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        return cls(spec, options, adapters)

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
        self.begun.append(params.prompt)
        for number in range(1, params.sd_steps + 1):
            if self.permits:
                self.permits.acquire(timeout=LIMIT_S)
            self.taken.append((params.prompt, number))
            preview = np.full((2, 2, 3), number, np.uint8) if previews else None
            on_step(Step(number, params.sd_steps, preview))
        painted = image.copy()
        painted[mask > 0] = self.colour(params, adapters)
        return painted

    def colour(self, params: DiffusionParams, adapters: Mapping[str, Path]) -> tuple[int, int, int]:
        return (params.seed or 0) % 256, params.sd_steps, 200


class Optioned(Stepping):
    """The hole tells how it was loaded and what it got: options, then adapters."""

    def colour(self, params: DiffusionParams, adapters: Mapping[str, Path]) -> tuple[int, int, int]:
        options = self.options
        flags = (options.low_mem, options.cpu_offload, options.cpu_textencoder,
                 options.safety_checker == "off", options.precision == "fp16")  # fmt: skip
        names = (*self.at_loading, *(f"paint:{role}" for role in adapters))
        known = ("vae", "tokenizer", "lcm-lora", "paint:lcm-lora")
        return (
            sum(2**bit for bit, flag in enumerate(flags) if flag),
            sum(2**bit for bit, name in enumerate(known) if name in names),
            0,
        )


class Showing(Stepping):
    """The hole is of the first colour of the example; what the runs got is written down."""

    shown: ClassVar[list[tuple[int, ...] | None]] = []
    """Shapes of the examples of all runs, in order."""
    given: ClassVar[list[dict[str, str]]] = []
    """File names of the adapters of all runs, in order."""

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
        self.shown.append(None if example is None else example.shape)
        self.given.append({role: path.name for role, path in adapters.items()})
        painted = super().paint(image, mask, params, adapters, on_step, previews, example)
        if example is not None:
            painted[mask > 0] = example[0, 0]
        return painted


class Failing(Stepping):
    """Fails at its second step, in a way that the prompt names."""

    errors: ClassVar[dict[str, type[Exception]]] = {
        "memory": MemoryError,
        "device": RuntimeError,
        "defect": ValueError,
        "flagged": ContentRefusedError,
    }

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
        if params.prompt in self.errors:
            on_step(Step(1, params.sd_steps))
            text = "CUDA error: an illegal memory access at /secret"
            raise self.errors[params.prompt](text)
        return super().paint(image, mask, params, adapters, on_step, previews, example)


class WrongShape(Stepping):
    """Forgets the colours."""

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
        return image[..., :1].copy()
