"""The fields of POST /api/v1/inpaint, and the order that they make.

Names, types and defaults are IOPaint 1.6's (its schema.py). A field that the chosen model does not
read may hold anything of its type: it is ignored, since IOPaint's page always sends all of them.
"""

import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from inpaint.deadlines import Deadline
from inpaint.diffusion import DiffusionOptions
from inpaint.examples import EXAMPLE
from inpaint.jobs import DiffusionOrder, EraseOrder
from inpaint.plans import HDStrategy
from inpaint.specs import FixedTiling, Kind, ModelSpec
from serve_app.bodies import Value
from serve_app.iopaint.switches import settled
from serve_app.orders import (
    RANDOM_SEED,
    SD_SEED,
    SEED,
    FindModel,
    Found,
    InpaintFields,
    make_order,
)

MISSPELT = {
    "hd_strategy_crop_triger_size": "hd_strategy_crop_trigger_size",
    "hd_trategy_resize_imit": "hd_strategy_resize_limit",
}
"""Keys as IOPaint's page sends them, and what they mean. IOPaint itself drops them."""

LARGEST_RANDOM_SEED = 99_999_999  # of IOPaint's randint(1, 99999999)

CV2_RADIUS = (1, 100)
"""What OpenCV makes of any other radius, so that IOPaint takes all of them."""

CROP_MARGIN_MAX = 4096
"""A larger margin counts as this; see StrategyOptions."""


class PowerPaintTask(StrEnum):
    """What PowerPaint is to do."""

    TEXT_GUIDED = "text-guided"
    CONTEXT_AWARE = "context-aware"
    SHAPE_GUIDED = "shape-guided"
    OBJECT_REMOVE = "object-remove"
    OUTPAINTING = "outpainting"


class IOPaintFields(BaseModel):
    """A request of IOPaint's clients. Unknown fields are accepted and mean nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    image: str | None = Field(default=None, description="The picture: base64 or a data: URL.")
    mask: str | None = Field(
        default=None, description="Of the same size; white is repainted. Base64 or a data: URL."
    )
    model: str | None = Field(
        default=None, description="Not IOPaint's: a name of GET /models, for this request alone."
    )
    ldm_steps: int = Field(default=20, description="Denoising steps of ldm.")
    ldm_sampler: str = Field(default="plms", description="Sampler of ldm: plms or ddim.")
    zits_wireframe: bool = Field(default=True, description="Let zits continue straight lines.")
    hd_strategy: str = Field(
        default="Crop", description="Crop, Resize or Original; anything else counts as Original."
    )
    hd_strategy_crop_trigger_size: int = Field(
        default=800, description="Crop acts when the longer side exceeds this, in pixels."
    )
    hd_strategy_crop_margin: int = Field(
        default=128, description="Crop's context on each side of a hole, in pixels."
    )
    hd_strategy_resize_limit: int = Field(
        default=1280, description="Resize's longer side, in pixels."
    )
    prompt: str = ""
    negative_prompt: str = ""
    use_croper: bool = False
    croper_x: int = 0
    croper_y: int = 0
    croper_height: int = 512
    croper_width: int = 512
    use_extender: bool = False
    extender_x: int = 0
    extender_y: int = 0
    extender_height: int = 640
    extender_width: int = 640
    sd_scale: float = Field(default=1.0, gt=0.0, le=1.0)
    sd_mask_blur: int = 11
    sd_strength: float = Field(default=1.0, le=1.0)
    sd_steps: int = 50
    sd_guidance_scale: float = 7.5
    sd_sampler: str = "UniPC"
    sd_seed: int = Field(
        default=42,
        description="X-Seed of the answer, -1 for a random one. Models without a prompt take "
        "their own seed.",
    )
    sd_match_histograms: bool = False
    sd_outpainting_softness: float = 20.0
    sd_outpainting_space: float = 20.0
    sd_lcm_lora: bool = False
    sd_keep_unmasked_area: bool = True
    cv2_flag: Literal["INPAINT_NS", "INPAINT_TELEA"] = "INPAINT_NS"
    cv2_radius: int = Field(default=4, description="Neighbourhood in pixels, 1 to 100.")
    paint_by_example_example_image: str | None = Field(
        default=None, description="What the hole should show. Base64 or a data: URL."
    )
    p2p_image_guidance_scale: float = 1.5
    enable_controlnet: bool = Field(
        default=False, description="Off with enable_brushnet, and without effect with use_extender."
    )
    controlnet_conditioning_scale: float = Field(default=0.4, ge=0.0, le=1.0)
    controlnet_method: str = Field(
        default="lllyasviel/control_v11p_sd15_canny",
        description="One of the model's `controlnets`; anything else counts as its first.",
    )
    enable_brushnet: bool = Field(
        default=False, description="Turns enable_controlnet and sd_lcm_lora off."
    )
    brushnet_method: str = Field(
        default="Sanster/brushnet_random_mask",
        description="One of the model's `brushnets`; anything else counts as its first.",
    )
    brushnet_conditioning_scale: float = Field(default=1.0, ge=0.0, le=1.0)
    enable_powerpaint_v2: bool = Field(
        default=False, description="Off where ControlNet or BrushNet acts."
    )
    powerpaint_task: PowerPaintTask = PowerPaintTask.TEXT_GUIDED
    fitting_degree: float = Field(default=1.0, gt=0.0, le=1.0)

    @model_validator(mode="before")
    @classmethod
    def _spelt_right(cls, values: Any) -> Any:
        """Take a misspelt key for the right one where that is absent."""
        if not isinstance(values, Mapping):
            return values
        renamed = {right: values[wrong] for wrong, right in MISSPELT.items() if wrong in values}
        return {**renamed, **values}

    @field_validator("sd_seed")
    @classmethod
    def _drawn(cls, seed: int) -> int:
        """Draw it here, so that every tile and the X-Seed header tell of the same."""
        return 1 + secrets.randbelow(LARGEST_RANDOM_SEED) if seed == RANDOM_SEED else seed


def order_of(
    fields: IOPaintFields, quality: int, find: FindModel, deadline: Deadline
) -> EraseOrder | DiffusionOrder:
    """What the model is to do: the fields that it reads and that act.

    Seeds of models without a prompt are IOPaint's constants, from their specs.

    Raises:
        ParamsError: such a field is out of range.
    """
    found = find(fields.model)
    spec = found.spec
    options = _canvas(fields) if spec.kind is Kind.DIFFUSION else _strategy(spec, fields)
    common = InpaintFields(quality=quality)
    return make_order(found, common, options | _parameters(found, fields), deadline)


def _canvas(fields: IOPaintFields) -> dict[str, Value]:
    """What a diffusion model paints. The boxes that do not act may be anything."""
    croper, extender = fields.use_croper, fields.use_extender and not fields.use_croper
    silent = (*([] if croper else ["croper_"]), *([] if extender else ["extender_"]))
    sent = fields.model_dump(include=set(DiffusionOptions.model_fields))
    return {name: value for name, value in sent.items() if not name.startswith(silent)}


def _strategy(spec: ModelSpec, fields: IOPaintFields) -> dict[str, Value]:
    if isinstance(spec.tiling, FixedTiling):
        return {}
    match _named_strategy(fields.hd_strategy):
        case HDStrategy.CROP:
            return {
                "hd_strategy": HDStrategy.CROP,
                "hd_strategy_crop_trigger_size": max(0, fields.hd_strategy_crop_trigger_size),
                "hd_strategy_crop_margin": min(fields.hd_strategy_crop_margin, CROP_MARGIN_MAX),
            }
        case HDStrategy.RESIZE:
            return {
                "hd_strategy": HDStrategy.RESIZE,
                "hd_strategy_resize_limit": fields.hd_strategy_resize_limit,
            }
        case _:
            return {"hd_strategy": HDStrategy.ORIGINAL}


def _named_strategy(word: str) -> HDStrategy | None:
    try:
        return HDStrategy(word)
    except ValueError:
        return None


def _parameters(found: Found, fields: IOPaintFields) -> dict[str, Value]:
    spec = found.spec
    sent = fields.model_dump(include=set(spec.reads) - {EXAMPLE})
    if "cv2_radius" in sent:
        low, high = CV2_RADIUS
        sent["cv2_radius"] = min(max(low, fields.cv2_radius), high)
    if spec.kind is Kind.DIFFUSION and SEED in spec.reads:
        sent[SD_SEED] = fields.sd_seed
    return settled(fields, sent, found)
