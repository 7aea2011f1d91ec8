"""What the runs of all diffusion pipelines share: seeds, offloading, and what comes out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from inpaint.arrays import Image
from inpaint.errors import ContentRefusedError, ModelError


@contextmanager
def offloaded(pipeline: Any, device: str) -> Iterator[None]:
    """Keep each part of `pipeline` on `device` only while it computes."""
    pipeline.enable_model_cpu_offload(device=device)
    try:
        yield
    finally:
        pipeline.remove_all_hooks()
        pipeline.to("cpu", silence_dtype_warnings=True)


def draw_from(seed: int | None) -> torch.Generator:
    """The generator of one request. On the CPU: so a seed means the same noise on every device."""
    generator = torch.Generator("cpu")
    if seed is None:
        generator.seed()
        return generator
    return generator.manual_seed(seed)


def picture_of(output: Any) -> Image:
    """The one picture of a pipeline's output.

    Raises:
        ContentRefusedError: the safety checker has flagged it.
        ModelError: see `as_levels`.
    """
    if any(getattr(output, "nsfw_content_detected", None) or ()):
        raise ContentRefusedError(
            "The checkpoint's safety checker has flagged the result, so it is not sent; "
            "another prompt or seed may give one that passes."
        )
    return as_levels(output.images[0])


def as_levels(picture: "np.typing.NDArray[np.float32]") -> Image:
    """(H, W, 3) float 0..1 as uint8, rounded as IOPaint does.

    Raises:
        ModelError: there are values that are no numbers; a black picture would be no answer.
    """
    if not np.isfinite(picture).all():
        raise ModelError(
            "The model's result overflowed in half precision; the operator can set "
            "`precision: fp32` or bf16 for its family."
        )
    return (picture * 255).round().astype(np.uint8)
