"""One request, top to bottom. Knows neither HTTP nor Serve; see docs/architecture.md."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inpaint import alpha_masks, codecs
from inpaint.arrays import Image, Mask, Size, check_pair
from inpaint.codecs import Limits, Picture
from inpaint.forwards import check_forward
from inpaint.jobs import AnyOrder, EraseOrder, Holes, Job, Order, Result, Timings, Upload
from inpaint.masks import holes
from inpaint.plans import Tile, plan
from inpaint.protocols import Painted
from inpaint.texts import TextRegion
from inpaint.tiles import Cut, cut, paste
from serve_app.pixel_threads import PixelThreads

TILE_BYTES = 7
"""For each pixel of a tile: RGB and mask on their way to the family, and RGB back."""

SMALLER_TILES = (
    "Mark less at once with hd_strategy=Crop, or use Resize with a lower hd_strategy_resize_limit."
)
"""What to do about a tile that is too large for its model."""

Paint = Callable[[Sequence[Cut]], Awaitable[Sequence[Painted]]]
"""Runs the order's model on every tile; answers come in the tiles' order."""

Read = Callable[[Sequence[Image]], Awaitable[Sequence[Sequence[TextRegion]]]]
"""Finds the text of several pictures; answers come in their order."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where pixels are worked on, and how many may come."""

    threads: PixelThreads
    limits: Limits


async def inpaint(
    upload: Upload, order: EraseOrder, paint: Paint, bench: Bench, timings: Timings
) -> Result:
    """Decode, plan, repaint every tile at once, paste, encode."""
    run = bench.threads.run
    with timings.stage("decode"):
        job = await decode(upload, order, bench)
    with timings.stage("plan"):
        pieces = await run(_cut_tiles, job, bench.limits)
    order.deadline.check()
    image = await _repainted(job, pieces, paint, bench, timings) if pieces else None
    with timings.stage("encode"):
        data, format_ = await run(encode, upload.image, job.picture, order, image)
    order.deadline.check()
    height, width = job.mask.shape
    return Result(data, format_, (height, width), order.spec.name, order.seed, len(pieces), timings)


async def find_text(
    source: bytes | memoryview, read: Read, bench: Bench, timings: Timings
) -> tuple[Size, Sequence[TextRegion]]:
    """Decode, read."""
    with timings.stage("decode"):
        picture = await bench.threads.run(codecs.decode, source, bench.limits)
    with timings.stage("read"):
        (regions,) = await read([picture.image])
    height, width = picture.image.shape[:2]
    return (height, width), regions


async def decode(upload: Upload, order: AnyOrder, bench: Bench) -> Job[AnyOrder]:
    """Picture and mask side by side; both of one size afterwards, or a MaskError."""
    if upload.holes is Holes.TRANSPARENT:
        return Job(order, *await _decode_by_alpha(upload, bench))
    picture, mask = await asyncio.gather(
        bench.threads.run(codecs.decode, upload.image, bench.limits),
        bench.threads.run(codecs.decode_mask, upload.mask, bench.limits),
    )
    check_pair(picture.image, mask)
    return Job(order, picture, mask)


async def _decode_by_alpha(upload: Upload, bench: Bench) -> tuple[Picture, Mask]:
    """The same where alpha marks the holes. A picture that is its own mask is decoded once."""
    run = bench.threads.run
    if upload.mask is upload.image:
        picture = marks = await run(codecs.decode, upload.image, bench.limits)
    else:
        picture, marks = await asyncio.gather(
            run(codecs.decode, upload.image, bench.limits),
            run(codecs.decode, upload.mask, bench.limits),
        )
    return await run(alpha_masks.take_holes, picture, marks)


async def _repainted(
    job: Job[EraseOrder], pieces: Sequence[Cut], paint: Paint, bench: Bench, timings: Timings
) -> Image:
    with timings.stage("models"):
        painted = await paint(pieces)
    count(timings, painted)
    with timings.stage("paste"):
        return await bench.threads.run(paste_all, job.picture.image, job.mask, pieces, painted)


def _cut_tiles(job: Job[EraseOrder], limits: Limits) -> list[Cut]:
    size, spec = job.picture.image.shape[:2], job.order.spec
    made = plan((size[0], size[1]), holes(job.mask), spec.tiling, job.order.options)
    for tile in made.tiles:
        padded = spec.size.padded(tile.model_size)
        check_forward(spec, tile.model_size, padded, limits.max_pixels, SMALLER_TILES)
    take_tiles(made.tiles, limits)
    return [cut(job.picture.image, job.mask, tile) for tile in made.tiles]


def take_tiles(tiles: Sequence[Tile], limits: Limits) -> None:
    """Take the memory that tiles need on their way and back; see Limits.take."""
    limits.take(TILE_BYTES * sum(math.prod(tile.model_size) for tile in tiles))


def paste_all(image: Image, mask: Mask, pieces: Sequence[Cut], painted: Sequence[Painted]) -> Image:
    """`image` with the masked pixels of every tile: itself, or a copy if it is read-only."""
    finished = np.require(image, requirements="W")
    for piece, answer in zip(pieces, painted, strict=True):
        paste(finished, mask, piece, answer.image)
    return finished


def encode(
    source: bytes | memoryview, picture: Picture, order: Order, image: Image | None
) -> tuple[bytes, codecs.Format]:
    """The answer's file, from `image`; None says that nothing was repainted.

    Then the file comes back as it came, unless another format is asked for.
    """
    format_ = order.format or picture.format
    if image is None and format_ == picture.format:
        return bytes(source), format_
    finished = picture.image if image is None else image
    data = codecs.encode(finished, picture.alpha, format_, picture.metadata, order.quality)
    return data, format_


def count(timings: Timings, painted: Sequence[Painted]) -> None:
    """Add what the replicas measured: of the tiles side by side, the slowest counts."""
    timings.add("queue", max(answer.queue_ms for answer in painted))
    timings.add("forward", max(answer.forward_ms for answer in painted))
