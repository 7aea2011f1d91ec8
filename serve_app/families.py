"""What a request needs of a family: repainting or reading. Knows nothing of Ray."""

from collections.abc import Callable
from typing import Protocol

from inpaint.arrays import Image, Mask
from inpaint.deadlines import Deadline
from inpaint.diffusion import Step
from inpaint.params import DiffusionParams, Params
from inpaint.protocols import Painted
from inpaint.texts import ReadOptions, ReadResult


class Family(Protocol):
    """Repaints tiles; in production a deployment, in tests a plain object."""

    async def paint(
        self, model: str, image: Image, mask: Mask, params: Params, deadline: Deadline
    ) -> Painted:
        """Repaint one tile; see EraseReplica.paint.

        Raises:
            ReplicaLostError: the replica died with the tile; sending it again is safe.
            OverloadedError: the family's queue is full.
            DeadlineError: no time is left; the remote call was cancelled.
        """
        ...


OnStep = Callable[[Step], None]
"""Told of each step of denoising, on the event loop."""


class DiffusionFamily(Protocol):
    """Paints in many steps; in production a deployment, in tests a plain object."""

    async def paint_steps(
        self,
        model: str,
        image: Image,
        mask: Mask,
        params: DiffusionParams,
        deadline: Deadline,
        on_step: OnStep,
        previews: bool,
        example: Image | None,
    ) -> Painted:
        """Paint `image` where `mask` is 255; see DiffusionModel.paint.

        Both are padded to what the model takes; `example`, for one that reads it, is
        of any size. A caller that is cancelled ends the run at its next step. Raises what
        Family.paint does.
        """
        ...


class TextFamily(Protocol):
    """Reads text; in production a deployment, in tests a plain object."""

    async def read(self, image: Image, options: ReadOptions, deadline: Deadline) -> ReadResult:
        """Find the text of a picture; see OcrReplica.read. Raises what Family.paint does."""
        ...
