"""Parameters that a model reads, by kind: a field exists only where it means something."""

from typing import Literal

from pydantic import Field

from inpaint.specs import Kind, Spec

SEED_MAX = 2**31 - 1
"""Largest seed that is drawn or taken; fits torch, numpy and OpenCV generators alike."""


class EraseParams(Spec):
    """Models without a prompt. Names and defaults are IOPaint's."""

    kind: Literal[Kind.ERASE] = Kind.ERASE
    cv2_flag: Literal["INPAINT_NS", "INPAINT_TELEA"] = Field(
        default="INPAINT_NS", description="OpenCV's algorithm: Navier-Stokes or Telea's."
    )
    cv2_radius: int = Field(
        default=4, ge=1, le=100, description="Neighbourhood in pixels; OpenCV takes 1 to 100."
    )
    ldm_steps: int = Field(default=20, ge=1, le=1000, description="Denoising steps of ldm.")
    ldm_sampler: Literal["plms", "ddim"] = Field(default="plms", description="Sampler of ldm.")
    zits_wireframe: bool = Field(
        default=True, description="Let zits find straight lines and continue them."
    )
    seed: int | None = Field(
        default=None, ge=0, le=SEED_MAX, description="Seed of a model's noise; drawn when absent."
    )


Params = EraseParams
"""The union of all kinds' parameters."""
