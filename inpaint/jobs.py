"""One request as data: what is to be done, and the clock that runs with it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

from inpaint.arrays import Image, Mask
from inpaint.codecs import Format, Picture
from inpaint.deadlines import Deadline
from inpaint.diffusion import DiffusionOptions
from inpaint.params import DiffusionParams, EraseParams, Params
from inpaint.plans import StrategyOptions
from inpaint.specs import AdapterRole, AdapterSpec, ModelSpec


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asks for, its pictures aside. Each kind of model has its own."""

    spec: ModelSpec
    params: Params
    options: StrategyOptions | DiffusionOptions
    seed: int
    deadline: Deadline
    format: Format | None
    """None: the input's."""
    quality: int
    """1 to 100, for JPEG and lossy WebP."""


@dataclass(frozen=True, slots=True)
class EraseOrder(Order):
    """For a model without a prompt."""

    params: EraseParams
    options: StrategyOptions


@dataclass(frozen=True, slots=True)
class DiffusionOrder(Order):
    """For a model with a prompt."""

    params: DiffusionParams
    options: DiffusionOptions
    adapters: Mapping[AdapterRole, AdapterSpec] = field(default_factory=dict)
    """What `params` ask for besides the checkpoint; see inpaint/adapters.py."""


AnyOrder = TypeVar("AnyOrder", bound=Order)


class Holes(Enum):
    """Which pixels of a mask say that the picture is to be repainted there."""

    BRIGHT = auto()
    """Those above 127, as in IOPaint; see codecs.decode_mask."""
    TRANSPARENT = auto()
    """Those with an alpha of 0, as OpenAI has it; see inpaint/alpha_masks.py."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A request's files as they came."""

    image: bytes | memoryview
    mask: bytes | memoryview
    example: bytes | memoryview | None = None
    """What the hole should show; see inpaint/examples.py."""
    holes: Holes = Holes.BRIGHT
    """How `mask` is read. Where it is TRANSPARENT, `mask` may be `image` itself."""


@dataclass(frozen=True, slots=True)
class Job(Generic[AnyOrder]):
    """An order with its pictures decoded."""

    order: AnyOrder
    picture: Picture
    mask: Mask
    """(H, W) uint8, 0 or 255."""
    example: Image | None = None
    """(h, w, 3) uint8 RGB, for a model that reads one."""


Around = Callable[[str], AbstractContextManager[object]]
"""What the stage called so runs inside of."""


@dataclass(slots=True)
class Timings:
    """Milliseconds by stage, in the order in which the stages first ended."""

    stages: dict[str, float] = field(default_factory=dict)
    around: Around = nullcontext
    """E.g. a span of a trace."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time that the block takes for `name`."""
        began = time.perf_counter()
        try:
            with self.around(name):
                yield
        finally:
            self.add(name, 1e3 * (time.perf_counter() - began))

    def add(self, name: str, ms: float) -> None:
        """Count `ms` for `name`."""
        self.stages[name] = self.stages.get(name, 0.0) + ms

    def header(self) -> str:
        """The value of a Server-Timing header."""
        return ", ".join(f"{name};dur={ms:.1f}" for name, ms in self.stages.items())


@dataclass(frozen=True, slots=True)
class Result:
    """A finished request."""

    data: bytes
    format: Format
    size: tuple[int, int]
    """(height, width) in pixels."""
    model: str
    seed: int
    tiles: int
    timings: Timings
