"""The shapes of JSON answers."""

from typing import Any

from pydantic import Field

from inpaint.codecs import Format
from inpaint.settings import MiB
from inpaint.specs import (
    AdapterRole,
    DiffusionFacts,
    Kind,
    Licence,
    ModelSpec,
    SizeRule,
    Spec,
    Tiling,
)
from inpaint.states import ModelState
from inpaint.text_rules import Fate, Judged
from inpaint.texts import TextRegion
from serve_app.conditions import Condition


class InpaintAnswer(Spec):
    """POST /inpaint as JSON."""

    image: str = Field(description="The picture as base64.")
    format: Format
    width: int
    height: int
    model: str
    seed: int
    tiles: int = Field(description="How many forwards the plan had; 0 for an empty mask.")
    request_id: str
    timings_ms: dict[str, float]


class RegionCard(Spec):
    """One line of text."""

    polygon: tuple[tuple[float, float], ...] = Field(
        description="Corners [x, y] in pixels, clockwise from the text's top left."
    )
    text: str
    score: float = Field(description="How sure the reader is of the text, 0 to 1.")
    detection_score: float = Field(description="How sure the detector is, 0 to 1.")

    @classmethod
    def of(cls, region: TextRegion) -> "RegionCard":
        """The card of a region."""
        return cls(**_plain(region))


class JudgedCard(RegionCard):
    """One line of text, and what became of it."""

    fate: Fate

    @classmethod
    def judged(cls, entry: Judged) -> "JudgedCard":
        """The card of a line with its fate."""
        return cls(**_plain(entry.region), fate=entry.fate)


def _plain(region: TextRegion) -> dict[str, Any]:
    return {
        "polygon": [(round(float(x), 1), round(float(y), 1)) for x, y in region.polygon],
        "text": region.text,
        "score": round(region.score, 4),
        "detection_score": round(region.detection_score, 4),
    }


class OcrAnswer(Spec):
    """POST /ocr."""

    width: int
    height: int
    regions: tuple[RegionCard, ...] = Field(description="In reading order.")
    request_id: str
    timings_ms: dict[str, float]


class RemoveTextAnswer(Spec):
    """POST /remove-text as JSON."""

    image: str | None = Field(description="The picture as base64; null for a dry run.")
    format: Format | None
    width: int
    height: int
    model: str = Field(description="The erase model.")
    found: int
    removed: int = Field(description="Lines that were erased; of a dry run, that would be.")
    kept: int = Field(description="Lines that a rule kept.")
    remaining: int = Field(description="Lines that could still be read where text was erased.")
    regions: tuple[JudgedCard, ...]
    mask: str = Field(description="PNG as base64: what was repainted. POST /inpaint takes it.")
    request_id: str
    timings_ms: dict[str, float]


class AdapterCard(Spec):
    """What completes a model, or replaces a part of it."""

    name: str
    role: AdapterRole
    state: ModelState
    licence: Licence


class ModelCard(Spec):
    """One model of GET /models."""

    name: str
    aliases: tuple[str, ...]
    kind: Kind
    family: str
    state: ModelState
    available: bool = Field(description="Whether this cluster can run the model's family.")
    unavailable_because: str | None = Field(description="Why not, and what would help.")
    progress: float | None = Field(description="Of a download, 0 to 1; null where unknown.")
    replicas_holding: int = Field(description="Replicas that have it loaded.")
    description: str
    licence: Licence
    parameters: tuple[str, ...] = Field(description="Parameters that change the result.")
    size: SizeRule
    tiling: Tiling
    max_pixels: int | None = Field(
        description="Most pixels that are painted at once, padding included; null: no limit."
    )
    memory_bytes: int
    diffusion: DiffusionFacts | None = Field(description="Of diffusion models; else null.")
    adapters: tuple[AdapterCard, ...] = Field(
        description="What fits the checkpoint. lcm-lora, controlnet-*, brushnet, powerpaint-v2: "
        "what sd_lcm_lora, enable_controlnet, enable_brushnet and enable_powerpaint_v2 need; "
        "depth-estimator: what controlnet-depth needs besides. vae, tokenizer: used where they "
        "are."
    )
    controlnets: tuple[str, ...] = Field(
        description="What controlnet_method can name; the first is taken where it is absent."
    )
    brushnets: tuple[str, ...] = Field(description="Likewise of brushnet_method.")
    takes_powerpaint_v2: bool = Field(description="Whether enable_powerpaint_v2 is for it.")

    @classmethod
    def of(cls, spec: ModelSpec, **known: Any) -> "ModelCard":
        """The card of a model: what its entry says, and what else is `known` of it."""
        return cls(
            name=spec.name,
            aliases=spec.aliases,
            kind=spec.kind,
            description=spec.description,
            licence=spec.licence,
            parameters=spec.reads,
            size=spec.size,
            tiling=spec.tiling,
            max_pixels=spec.max_pixels,
            memory_bytes=spec.memory_mb * MiB,
            diffusion=spec.diffusion,
            **known,
        )


class ModelList(Spec):
    """GET /models."""

    default: str = Field(description="Who answers a request that names no model.")
    models: tuple[ModelCard, ...]


class Readiness(Spec):
    """GET /readyz."""

    ready: bool
    families: dict[str, Condition] = Field(
        description="What a request for each family would meet; see docs/observability.md."
    )
    seen_s_ago: float | None = Field(
        description="How old this is: it ages while Serve's controller is away; null: not yet seen."
    )


class Cancelled(Spec):
    """DELETE /requests/{id}."""

    request_id: str
    cancelled: bool
