"""Stand-ins for models: each shows one behaviour. Runner strings: "tests.fakes:Inverting"."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from inpaint.arrays import Images, Masks
from inpaint.params import Params
from inpaint.protocols import LoadOptions
from inpaint.specs import AdapterSpec, ModelSpec


def fake_spec(name: str = "toy", runner: str = "Inverting", **more: object) -> ModelSpec:
    """A catalog entry for a model of this module, or of another one: "module:Class"."""
    entry = {
        "name": name,
        "family": "Erase",
        "kind": "erase",
        "runner": runner if ":" in runner else f"tests.fakes:{runner}",
        "licence": {"name": "MIT"},
        "memory_mb": 1,
    }
    return ModelSpec.model_validate(entry | more)


def fake_adapter(name: str, role: str, **more: object) -> AdapterSpec:
    """A catalog entry for what completes a checkpoint, by default every Stable Diffusion 1.5."""
    entry = {
        "name": name,
        "role": role,
        "bases": ["sd15"],
        "licence": {"name": "MIT"},
        "memory_mb": 1,
    }
    return AdapterSpec.model_validate(entry | more)


class FakeModel:
    """Satisfies InpaintModel; answers the images as they came."""

    def __init__(self, spec: ModelSpec, options: LoadOptions) -> None:
        self.spec = spec
        self.options = options

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        return cls(spec, options)

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        return images.copy()


class Inverting(FakeModel):
    """Answers the negative: each pixel depends on its own input only."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        return 255 - images


class Measuring(FakeModel):
    """Writes what it was given into the colours: (height, width, holes' share in percent)."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        answer = np.zeros_like(images)
        for image, mask in zip(answer, masks, strict=True):
            image[:] = (*mask.shape, round(100 * float((mask > 0).mean())))
        return answer


class Optioned(FakeModel):
    """Writes how it was loaded into the colours: (on the CPU, in fp32, 0)."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        answer = np.zeros_like(images)
        answer[:] = (self.options.device == "cpu", self.options.precision == "fp32", 0)
        return answer


class Scribbling(FakeModel):
    """Tries to write into its inputs."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        images[:] = 0
        return images


class WrongShape(FakeModel):
    """Forgets the colours: numpy would broadcast it."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        return images[..., :1].copy()


class WrongType(FakeModel):
    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        return (images / 255).astype(np.float32)


class FewerAnswers(FakeModel):
    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        return images[:-1].copy()


class Failing(FakeModel):
    """Its error's text is of the kind that must not reach a client."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        raise ValueError("secret of /srv/private on 10.0.0.7")


class AfraidOfBlack(FakeModel):
    """Fails on a black picture, and on the whole batch that has one."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        if not images.any(axis=(1, 2, 3)).all():
            raise ValueError("a black picture")
        return 255 - images


class OutOfMemory(FakeModel):
    """Has no memory for pictures with a side over 64 px."""

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        if max(images.shape[1:3]) > 64:
            raise MemoryError("cannot allocate 9 GB")
        return 255 - images


class DeviceLost(FakeModel):
    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        raise RuntimeError("CUDA error: device-side assert triggered")


class Unloadable(FakeModel):
    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        raise OSError("secret of /srv/private")


class TooLargeToLoad(FakeModel):
    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        raise MemoryError("cannot allocate 9 GB")


class Gated(Inverting):
    """Waits in `forward` until a test opens the gate."""

    entered: ClassVar[threading.Event] = threading.Event()
    gate: ClassVar[threading.Event] = threading.Event()

    def forward(self, images: Images, masks: Masks, params: Params) -> Images:
        self.entered.set()
        self.gate.wait(5)
        return super().forward(images, masks, params)
