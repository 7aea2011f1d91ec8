"""What the tests of Stable Diffusion share: a small picture, short runs, and a shorthand."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from deployments.models.diffusion_runs import draw_from
from deployments.models.stable_diffusion import StableDiffusion
from deployments.models.stable_diffusion_calls import Order
from inpaint.arrays import Image, Mask
from inpaint.diffusion import NO_ADAPTERS, Step
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import Kind, Licence, ModelSpec

SPEC = ModelSpec(
    name="tiny",
    family="SD15",
    kind=Kind.DIFFUSION,
    runner=f"{StableDiffusion.__module__}:{StableDiffusion.__name__}",
    licence=Licence(name="none"),
    memory_mb=60,
)
QUICK = DiffusionParams(prompt="a cat", negative_prompt="dog", sd_steps=3, seed=7)


def picture(height: int = 64, width: int = 96) -> tuple[Image, Mask]:
    """Soft colours with a hole in the middle. Nobody may write into either."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    image = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    mask: Mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = 255
    image.flags.writeable = mask.flags.writeable = False
    return image, mask


def load(path: Path, adapters: Any = NO_ADAPTERS, **options: Any) -> StableDiffusion:
    return StableDiffusion.load(SPEC, [path], LoadOptions(**options), adapters)


def paint(
    model: StableDiffusion, adapters: Any = NO_ADAPTERS, steps: Any = None, **params: Any
) -> Image:
    """QUICK with changes, on `picture()`."""
    keep: list[Step] = [] if steps is None else steps
    wanted = DiffusionParams(**QUICK.model_dump() | params)
    return model.paint(*picture(), wanted, adapters, keep.append)


def order(adapters: Any = NO_ADAPTERS, **params: Any) -> Order:
    """The same as an order to the runner."""
    wanted = DiffusionParams(**QUICK.model_dump() | params)
    return Order(*picture(), wanted, adapters, draw_from(wanted.seed))


def difference(first: Image, second: Image) -> float:
    """Mean difference in levels of 255."""
    return float(np.abs(first.astype(int) - second).mean())


class StopRunError(Exception):
    """What ends a run in `stopped_at_step_2`."""


@contextmanager
def stopped_at_step_2() -> Iterator[Callable[[Step], None]]:
    """Gives an `on_step` that fails at step 2, and makes sure that this ends the run at once."""
    seen = []

    def on_step(step: Step) -> None:
        seen.append(step.number)
        if step.number == 2:
            raise StopRunError

    with pytest.raises(StopRunError):
        yield on_step
    assert seen == [1, 2]


def modules_of(parts: Iterable[object]) -> list[torch.nn.Module]:
    """The networks among the parts of a pipeline."""
    return [part for part in parts if isinstance(part, torch.nn.Module)]


def pointers(network: torch.nn.Module) -> set[int]:
    """Where its parameters lie."""
    return {tensor.data_ptr() for tensor in network.parameters()}


def fingerprint(networks: Iterable[torch.nn.Module]) -> str:
    """Of every tensor, its type and its place."""
    digest = hashlib.sha256()
    for network in networks:
        for name, tensor in network.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tensor.data_ptr()}".encode())
            digest.update(tensor.flatten().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
