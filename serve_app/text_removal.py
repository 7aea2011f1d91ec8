"""Text out of a picture: read, judge, mask, erase, check. Knows neither HTTP nor Serve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inpaint import codecs
from inpaint.arrays import Image, Mask
from inpaint.boxes import Box
from inpaint.flat_fill import fill_flat
from inpaint.jobs import EraseOrder, Result, Timings
from inpaint.masks import from_polygons
from inpaint.plans import plan
from inpaint.text_checks import line_holes, moved, remaining, windows
from inpaint.text_masks import MaskMode, text_mask
from inpaint.text_rules import Fate, Judged, TextRules, judge
from inpaint.texts import Polygon, TextRegion
from inpaint.tiles import Cut, cut
from serve_app.pipeline import Bench, Paint, Read, count, encode, paste_all, take_tiles

GROWTH = 2.0
"""What the margin is multiplied by where words remain."""
GROWTH_LEAST = 0.1
"""And what it is at least then, in line heights: twice no margin is none."""


@dataclass(frozen=True, slots=True)
class TextOrder:
    """What a request asks for beside the erasing itself."""

    rules: TextRules
    mask_mode: MaskMode
    mask_margin: float
    """In line heights."""
    fill_flat: bool
    verify: bool
    dry_run: bool


@dataclass(frozen=True, slots=True)
class TextResult:
    """What was found, and the picture without it."""

    judged: Sequence[Judged]
    remaining: Sequence[TextRegion]
    """Lines that can still be read; of a dry run all that would be removed."""
    mask: Mask
    """(H, W) uint8, 255 where pixels were, or would be, repainted."""
    result: Result | None
    """None for a dry run."""
    model: str
    timings: Timings


class TextRemoval:
    """One request.

    Args:
        order: model, parameters, output.
        asked: which text, and how.
        read: finds text.
        paint: runs the order's model on tiles.
        bench: threads and limits.
        timings: the clock.
    """

    def __init__(
        self,
        order: EraseOrder,
        asked: TextOrder,
        read: Read,
        paint: Paint,
        bench: Bench,
        timings: Timings,
    ) -> None:
        self._order = order
        self._asked = asked
        self._read = read
        self._paint = paint
        self._bench = bench
        self._run = bench.threads.run
        self._timings = timings
        self._tiles = 0
        self._kept: list[Polygon] = []

    async def __call__(self, source: bytes | memoryview) -> TextResult:
        """Read the text, erase the lines that no rule keeps, and check that they are gone."""
        asked = self._asked
        with self._timings.stage("decode"):
            picture = await self._run(codecs.decode, source, self._bench.limits)
        with self._timings.stage("read"):
            (found,) = await self._read([picture.image])
            judged = judge(found, asked.rules)
        lines = [entry.region for entry in judged if entry.fate is Fate.REMOVED]
        self._kept = [entry.region.polygon for entry in judged if entry.fate is not Fate.REMOVED]
        mask = await self._mask(picture.image, lines, asked.mask_mode, asked.mask_margin)
        if asked.dry_run:
            return self._done(judged, lines, mask, None)
        image: Image | None = None
        left: list[TextRegion] = []
        if lines:
            image, mask, left = await self._erase_and_check(picture.image, lines, mask)
        with self._timings.stage("encode"):
            data, format_ = await self._run(encode, source, picture, self._order, image)
        self._order.deadline.check()
        return self._done(judged, left, mask, self._result(data, format_, mask))

    async def _erase_and_check(
        self, original: Image, lines: list[TextRegion], mask: Mask
    ) -> tuple[Image, Mask, list[TextRegion]]:
        """The picture, the mask that was used, and the lines that can still be read.

        Where words remain the mask is grown, and all is erased once more from the untouched
        picture: a smear is a worse start than the text.
        """
        image = await self._erase(original, lines, mask)
        if not self._asked.verify:
            return image, mask, []
        left = await self._still_there(image, lines, mask)
        if left:
            lines = [*lines, *left]
            margin = max(GROWTH * self._asked.mask_margin, GROWTH_LEAST)
            wider = await self._mask(original, left, MaskMode.POLYGON, margin)
            mask = await self._run(np.maximum, mask, wider)
            image = await self._erase(original, lines, mask)
            left = await self._still_there(image, lines, mask)
        return image, mask, left

    async def _mask(
        self, image: Image, lines: Sequence[TextRegion], mode: MaskMode, margin: float
    ) -> Mask:
        """The lines' mask. Of a pixel that a kept line shares, keeping wins."""
        with self._timings.stage("mask"):
            mask = await self._run(text_mask, image, lines, mode, margin)
            if self._kept:
                mask = await self._run(_without, mask, self._kept)
            return mask

    async def _erase(self, original: Image, lines: Sequence[TextRegion], mask: Mask) -> Image:
        """A new picture without what `mask` marks: flat parts filled, the rest by the model."""
        self._order.deadline.check()
        with self._timings.stage("plan"):
            image, holes, pieces = await self._run(self._prepare, original, lines, mask)
        if pieces:
            with self._timings.stage("models"):
                painted = await self._paint(pieces)
            count(self._timings, painted)
            self._tiles += len(pieces)
            with self._timings.stage("paste"):
                image = await self._run(paste_all, image, holes, pieces, painted)
        return image

    def _prepare(
        self, original: Image, lines: Sequence[TextRegion], mask: Mask
    ) -> tuple[Image, Mask, list[Cut]]:
        """A copy with its flat parts filled, the mask of the rest, and the rest's tiles."""
        image = original.copy()
        if self._asked.fill_flat:
            mask, lines = fill_flat(image, mask, lines)
        size = (mask.shape[0], mask.shape[1])
        holes = line_holes(mask, lines) if mask.any() else ()
        made = plan(size, holes, self._order.spec.tiling, self._order.options)
        take_tiles(made.tiles, self._bench.limits)
        return image, mask, [cut(image, mask, tile) for tile in made.tiles]

    async def _still_there(
        self, image: Image, lines: Sequence[TextRegion], mask: Mask
    ) -> list[TextRegion]:
        """Lines that can be read where text was erased; only those places are read again."""
        with self._timings.stage("verify"):
            parts = windows(lines, (mask.shape[0], mask.shape[1]))
            crops = await self._run(_cut_out, image, parts)
            found = await self._read(crops)
            return await self._run(_left, parts, found, mask)

    def _result(self, data: bytes, format_: codecs.Format, mask: Mask) -> Result:
        order, size = self._order, (mask.shape[0], mask.shape[1])
        return Result(data, format_, size, order.spec.name, order.seed, self._tiles, self._timings)

    def _done(
        self,
        judged: Sequence[Judged],
        remaining: Sequence[TextRegion],
        mask: Mask,
        result: Result | None,
    ) -> TextResult:
        return TextResult(judged, remaining, mask, result, self._order.spec.name, self._timings)


def _without(mask: Mask, polygons: Sequence[Polygon]) -> Mask:
    inside = from_polygons(polygons, (mask.shape[0], mask.shape[1]))
    return np.asarray(np.where(inside > 0, 0, mask), np.uint8)


def _cut_out(image: Image, parts: Sequence[Box]) -> list[Image]:
    return [np.ascontiguousarray(image[part.window]) for part in parts]


def _left(
    parts: Sequence[Box], found: Sequence[Sequence[TextRegion]], mask: Mask
) -> list[TextRegion]:
    return [
        region
        for part, regions in zip(parts, found, strict=True)
        for region in remaining(moved(regions, part), mask)
    ]
