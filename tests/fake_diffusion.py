"""A diffusion family without a network: paints flat colours and tells of its steps."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from inpaint.arrays import Image, Mask
from inpaint.deadlines import Deadline
from inpaint.diffusion import Step
from inpaint.params import DiffusionParams
from inpaint.protocols import Painted


@dataclass
class PaintCall:
    """What the family was given."""

    model: str
    image: Image
    mask: Mask
    params: DiffusionParams
    example: Image | None = None


@dataclass
class FakePainters:
    """Answers one colour everywhere, (seed % 256, steps, 200), so that blending shows.

    Its answer is read-only, as it comes through Ray.
    """

    fail_with: list[Exception] = field(default_factory=list)
    seen: list[PaintCall] = field(default_factory=list)
    cancelled: int = 0
    gate: asyncio.Event | None = None
    """Where set, the run waits for it after its first step."""

    async def paint_steps(
        self,
        model: str,
        image: Image,
        mask: Mask,
        params: DiffusionParams,
        deadline: Deadline,
        on_step: Callable[[Step], None],
        previews: bool,
        example: Image | None,
    ) -> Painted:
        seen = None if example is None else example.copy()
        self.seen.append(PaintCall(model, image.copy(), mask.copy(), params, seen))
        try:
            for number in range(1, params.sd_steps + 1):
                on_step(Step(number, params.sd_steps, self._preview(image) if previews else None))
                if self.fail_with:
                    raise self.fail_with.pop(0)
                await (self.gate.wait() if self.gate else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        painted = np.empty_like(image)
        painted[:] = ((params.seed or 0) % 256, params.sd_steps, 200)
        painted.flags.writeable = False
        return Painted(painted, 1.0, 2.0, 1)

    def _preview(self, image: Image) -> Image:
        height, width = image.shape[:2]
        return np.full((height // 8, width // 8, 3), (200, 100, 50), np.uint8)
