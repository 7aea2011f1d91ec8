"""What to run the model on: a Plan is data, made without pixels and without a device.

plan(size, holes, tiling, options)
    FixedTiling    -> one tile for each hole, shrunk to the network's own size
    ORIGINAL       -> the whole picture
    RESIZE         -> the whole picture, shrunk
    CROP           -> one tile for each hole, overlapping ones merged
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from pydantic import Field

from inpaint.arrays import Size
from inpaint.boxes import Box, merge_overlapping, with_margin
from inpaint.specs import FixedTiling, Spec, Tiling


class HDStrategy(StrEnum):
    """How a picture larger than the model likes is handled. Names are case-insensitive."""

    ORIGINAL = "Original"
    RESIZE = "Resize"
    CROP = "Crop"

    @classmethod
    def _missing_(cls, value: object) -> "HDStrategy | None":
        word = str(value).capitalize()
        return next((member for member in cls if member.value == word), None)


class Geometry(StrEnum):
    """How CROP sizes its tiles."""

    IOPAINT = "iopaint"
    SNAPPED = "snapped"


SNAP_STEP_PX = 128
"""Under SNAPPED, sides grow to a multiple of this: few shapes, so batches form."""


class StrategyOptions(Spec):
    """The HD strategy and its numbers, all in pixels. Names are IOPaint's."""

    hd_strategy: HDStrategy = Field(
        default=HDStrategy.CROP,
        description="ORIGINAL: the whole picture at once. RESIZE: shrunk, the result scaled back. "
        "CROP: only the surroundings of each hole.",
    )
    hd_strategy_crop_trigger_size: int = Field(
        default=800, ge=0, description="CROP acts when the longer side exceeds this."
    )
    hd_strategy_crop_margin: int = Field(
        default=128, ge=0, le=4096, description="CROP's context on each side of a hole."
    )
    hd_strategy_resize_limit: int = Field(
        default=2048, ge=16, description="RESIZE's longer side; smaller pictures stay as they are."
    )
    geometry: Geometry = Field(
        default=Geometry.IOPAINT,
        description="iopaint: IOPaint's boxes. snapped: tiles grown to multiples of 128 px.",
    )


@dataclass(frozen=True, slots=True)
class Tile:
    """One forward pass: cut `box` out of the picture and resize it to `model_size`."""

    box: Box
    model_size: Size

    @property
    def is_resized(self) -> bool:
        """Whether the model sees other pixels than the picture's own."""
        return self.box.size != self.model_size


@dataclass(frozen=True, slots=True)
class Plan:
    """The forward passes of one request, pasted back in this order."""

    tiles: tuple[Tile, ...]


def plan(size: Size, holes: Sequence[Box], tiling: Tiling, options: StrategyOptions) -> Plan:
    """The tiles for a picture of (height, width) `size` with these `holes`.

    Args:
        size: (height, width) of the picture.
        holes: bounding boxes of the mask's holes; none gives an empty plan.
        tiling: the model's own rule, from its spec.
        options: the request's strategy; of no effect where `tiling` is fixed.
    """
    if not holes:
        return Plan(())
    if isinstance(tiling, FixedTiling):
        return _plan_fixed(size, holes, tiling)
    match options.hd_strategy:
        case HDStrategy.ORIGINAL:
            return _whole(size, size)
        case HDStrategy.RESIZE:
            return _whole(size, shrunk(size, options.hd_strategy_resize_limit))
        case HDStrategy.CROP:
            return _plan_crop(size, holes, options)
        case never:
            assert_never(never)


def shrunk(size: Size, limit: int) -> Size:
    """`size` scaled so that its longer side is `limit`; as it is where that is no shrinking.

    Rounds half up, as IOPaint does, and keeps at least one pixel.
    """
    if max(size) <= limit:
        return size
    ratio = limit / max(size)
    return max(1, int(size[0] * ratio + 0.5)), max(1, int(size[1] * ratio + 0.5))


def _whole(size: Size, model_size: Size) -> Plan:
    return Plan((Tile(Box.of_image(size), model_size),))


def _plan_crop(size: Size, holes: Sequence[Box], options: StrategyOptions) -> Plan:
    if max(size) <= options.hd_strategy_crop_trigger_size:
        return _whole(size, size)
    boxes = [with_margin(hole, options.hd_strategy_crop_margin, size) for hole in holes]
    merged = merge_overlapping(boxes)
    if options.geometry is Geometry.SNAPPED:
        merged = _snapped_apart(merged, size)
    return Plan(tuple(Tile(box, box.size) for box in merged))


def _snapped_apart(boxes: Sequence[Box], size: Size) -> tuple[Box, ...]:
    """`boxes` snapped, and merged where that makes them overlap, until both hold."""
    merged = tuple(boxes)
    while (grown := merge_overlapping([_snapped(box, size) for box in merged])) != merged:
        merged = grown
    return merged


def _snapped(box: Box, size: Size) -> Box:
    """`box` grown on both sides into the picture until its sides are multiples of the step."""
    left, right = _grown(box.left, box.right, size[1])
    top, bottom = _grown(box.top, box.bottom, size[0])
    return Box(left, top, right, bottom)


def _grown(low: int, high: int, limit: int) -> tuple[int, int]:
    side = min(-(-(high - low) // SNAP_STEP_PX) * SNAP_STEP_PX, limit)
    start = min(max(low - (side - (high - low)) // 2, 0), limit - side)
    return start, start + side


def _plan_fixed(size: Size, holes: Sequence[Box], tiling: FixedTiling) -> Plan:
    if size == (tiling.size, tiling.size):
        return _whole(size, size)
    boxes = [with_margin(hole, tiling.margin, size) for hole in holes]
    packed = merge_overlapping(boxes, longest_px=tiling.size)  # a larger union would be shrunk
    return Plan(tuple(Tile(box, shrunk(box.size, tiling.size)) for box in packed))
