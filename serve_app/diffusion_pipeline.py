"""One request for a model with a prompt, top to bottom. Knows neither HTTP nor Serve."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import numpy as np

from inpaint import codecs
from inpaint.arrays import Image, Mask
from inpaint.blending import blend, extended, extended_alpha, for_network
from inpaint.canvases import Canvas, check_run, lay_out
from inpaint.codecs import Limits, Picture
from inpaint.examples import decode_example, reads_example
from inpaint.jobs import DiffusionOrder, Job, Result, Timings, Upload
from inpaint.protocols import Painted
from inpaint.tiles import Cut, cut
from serve_app.pipeline import Bench, count, decode, encode, take_tiles

PaintSteps = Callable[[Image, Mask, Image | None], Awaitable[Painted]]
"""Runs the order's model on one padded picture with a hard mask, and on an example picture."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one request paints, laid out and cut."""

    canvas: Canvas
    image: Image
    """The picture at its final size."""
    mask: Mask
    """(H, W) uint8, 0 or 255, of the same size."""
    piece: Cut


async def paint_in_steps(
    upload: Upload, order: DiffusionOrder, paint: PaintSteps, bench: Bench, timings: Timings
) -> Result:
    """Decode, lay out, paint, blend, encode."""
    run = bench.threads.run
    with timings.stage("decode"):
        job, example = await asyncio.gather(
            decode(upload, order, bench), _example(upload, order, bench)
        )
        job = replace(job, example=example)
    with timings.stage("plan"):
        laid_out = await run(_laid_out, job, bench.limits)
    order.deadline.check()
    picture, image = job.picture, None
    if laid_out:
        picture, image = await _painted(job, laid_out, paint, bench, timings)
    with timings.stage("encode"):
        data, format_ = await run(encode, upload.image, picture, order, image)
    order.deadline.check()
    size = laid_out.canvas.size if laid_out else (job.mask.shape[0], job.mask.shape[1])
    return Result(data, format_, size, order.spec.name, order.seed, int(bool(laid_out)), timings)


async def _example(upload: Upload, order: DiffusionOrder, bench: Bench) -> Image | None:
    """What the hole should show; None for a model that reads no example."""
    if upload.example is None or not reads_example(order.spec):
        return None
    return await bench.threads.run(decode_example, upload.example, bench.limits)


def _laid_out(job: Job[DiffusionOrder], limits: Limits) -> Run | None:
    """The run; None where the mask leaves nothing to paint."""
    image, mask, order = job.picture.image, job.mask, job.order
    size = (mask.shape[0], mask.shape[1])
    canvas = lay_out(size, order.options, order.spec.size, limits.max_pixels)
    if canvas.is_extended:
        limits.take(codecs.PICTURE_BYTES * math.prod(canvas.size))
    take_tiles([canvas.tile], limits)
    image, mask = extended(image, mask, canvas)
    if not mask[canvas.place.window].any():
        return None
    check_run(canvas, order.spec, limits.max_pixels)
    return Run(canvas, image, mask, cut(image, mask, canvas.tile))


async def _painted(
    job: Job[DiffusionOrder], laid_out: Run, paint: PaintSteps, bench: Bench, timings: Timings
) -> tuple[Picture, Image]:
    """The picture that came in, transparent where the finished one is, and the finished one."""
    run = bench.threads.run
    with timings.stage("plan"):
        image, mask = await run(for_network, laid_out.piece, laid_out.canvas.padded_size)
    with timings.stage("models"):
        painted = await paint(image, mask, job.example)
    count(timings, [painted])
    with timings.stage("blend"):
        finished = await run(_blended, job, laid_out, painted)
        alpha = await run(extended_alpha, job.picture.alpha, laid_out.canvas)
    return replace(job.picture, alpha=alpha), finished


def _blended(job: Job[DiffusionOrder], laid_out: Run, painted: Painted) -> Image:
    finished = np.require(laid_out.image, requirements="W")
    blend(finished, laid_out.mask, laid_out.piece, painted.image, job.order.options)
    return finished
