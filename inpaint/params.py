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


Sampler = Literal[
    "DPM++ 2M",
    "DPM++ 2M Karras",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Karras",
    "DPM++ SDE",
    "DPM++ SDE Karras",
    "DPM2",
    "DPM2 Karras",
    "DPM2 a",
    "DPM2 a Karras",
    "Euler",
    "Euler a",
    "Heun",
    "LMS",
    "LMS Karras",
    "DDIM",
    "PNDM",
    "UniPC",
    "LCM",
]
"""IOPaint's names, in its order."""


PowerPaintTask = Literal[
    "text-guided", "context-aware", "shape-guided", "object-remove", "outpainting"
]
"""IOPaint's names of what PowerPaint can be asked to do."""


class DiffusionParams(Spec):
    """What the network reads. Names and defaults are IOPaint's."""

    kind: Literal[Kind.DIFFUSION] = Kind.DIFFUSION
    prompt: str = Field(default="", max_length=4000, description="What the hole should show.")
    negative_prompt: str = Field(default="", max_length=4000, description="What it should not.")
    sd_steps: int = Field(default=50, ge=1, le=150, description="Denoising steps.")
    sd_strength: float = Field(
        default=1.0, gt=0, le=1, description="How far to depart from what the hole shows now."
    )
    sd_guidance_scale: float = Field(
        default=7.5, ge=0, le=50, description="Weight of the prompt; 1 and less: no guidance."
    )
    sd_sampler: Sampler = Field(default="UniPC", description="How noise is taken away.")
    sd_lcm_lora: bool = Field(
        default=False, description="LCM-LoRA: few steps (4 to 8) with guidance of about 1."
    )
    enable_controlnet: bool = Field(default=False, description="Keep to a control picture.")
    controlnet_method: str | None = Field(
        default=None,
        max_length=200,
        description="A ControlNet of the model's `adapters`; absent: the first.",
    )
    controlnet_conditioning_scale: float = Field(
        default=0.4, ge=0, le=2, description="Weight of the control picture."
    )
    enable_brushnet: bool = Field(default=False, description="Let a BrushNet guide the network.")
    brushnet_method: str | None = Field(
        default=None,
        max_length=200,
        description="A BrushNet of the model's `adapters`; absent: the first.",
    )
    brushnet_conditioning_scale: float = Field(
        default=1.0, ge=0, le=2, description="Weight of the BrushNet."
    )
    enable_powerpaint_v2: bool = Field(default=False, description="Let PowerPaint v2 guide it.")
    powerpaint_task: PowerPaintTask = Field(
        default="text-guided", description="What PowerPaint is to do."
    )
    fitting_degree: float = Field(
        default=1.0, gt=0, le=1, description="How closely PowerPaint keeps to the mask's shape."
    )
    seed: int | None = Field(
        default=None, ge=0, le=SEED_MAX, description="Seed of the noise; drawn when absent."
    )


Params = EraseParams | DiffusionParams
"""The union of all kinds' parameters."""
