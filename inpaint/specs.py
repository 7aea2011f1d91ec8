"""What is known about a model before any weight is loaded: the types of configs/models/*.yaml."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inpaint.arrays import Size


class Spec(BaseModel):
    """Base of all config types: a key we do not know is an error, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Kind(StrEnum):
    """What a family does, and so what parameters its models take."""

    ERASE = "erase"
    DIFFUSION = "diffusion"
    OCR = "ocr"


class SizeRule(Spec):
    """What input sizes a network takes, in pixels. Padding to them happens outside the model."""

    multiple_of: int = Field(default=8, ge=1)
    minimum: int = Field(default=0, ge=0)
    square: bool = False

    def padded(self, size: Size) -> Size:
        """Smallest allowed (height, width) that holds `size`."""
        step = self.multiple_of
        height, width = (-(-max(side, self.minimum, 1) // step) * step for side in size)
        return (max(height, width),) * 2 if self.square else (height, width)


class StrategyTiling(Spec):
    """The request's HD strategy decides the tiles."""

    rule: Literal["strategy"] = "strategy"


class FixedTiling(Spec):
    """Always tiles of one size, one for each hole; the request's HD strategy does not apply."""

    rule: Literal["fixed"] = "fixed"
    size: int = Field(default=512, ge=1, description="Longer side of a tile, in pixels.")
    margin: int = Field(default=128, ge=0, description="Context around each hole, in pixels.")


Tiling = Annotated[StrategyTiling | FixedTiling, Field(discriminator="rule")]


class Licence(Spec):
    """Under what terms the weights may be used."""

    name: str
    commercial_use: bool | None = Field(
        default=None, description="None: nobody has stated it, so ask the authors."
    )
    note: str = ""


class WeightFile(Spec):
    """One file of a model's weights, where IOPaint keeps it.

    The environment variables `<env>_MODEL_URL` and `<env>_MODEL_MD5` override `url` and `md5`,
    as they do in IOPaint.
    """

    env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    url: str
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    alternatives: tuple[str, ...] = Field(
        default=(), description="File names of the same weights as a state dict, tried in order."
    )


RepositoryId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]


class HubRepository(Spec):
    """A folder of weights on a model hub, e.g. a diffusers pipeline, kept where IOPaint keeps it.

    Only what a loader reads is fetched: see deployments/weights/hub_files.py.
    """

    repo_id: RepositoryId
    mirrors: tuple[RepositoryId, ...] = Field(
        default=(), description="Copies, tried in order where the repository is gone."
    )
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "main"
    variant: Literal["fp16"] | None = Field(
        default="fp16", description="Preferred weights; the full ones where there are none."
    )
    allow_patterns: tuple[str, ...] = Field(
        default=(),
        description="Only files that match one of these, e.g. 'unet/*'; absent: all that a loader "
        "reads. A pattern without wildcard names a file that must be there.",
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """The repository and its mirrors, in the order in which they are tried."""
        return (self.repo_id, *self.mirrors)


Extra = Literal["erase", "diffusion", "ocr"]
EXTRA_PACKAGES: dict[Extra, tuple[str, ...]] = {
    "erase": ("torch", "safetensors", "skimage"),
    "diffusion": ("torch", "safetensors", "diffusers", "transformers", "accelerate", "peft"),
    "ocr": ("paddleocr", "rapidocr", "onnxruntime"),
}
"""What must be importable for an extra to count as installed."""

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][ -.0-~]*(/[A-Za-z0-9][\w.-]*)?$")]
"""A word, a hub's "owner/name", or the name of a file; printable ASCII, as a header's value."""

Base = Literal["sd15", "sdxl"]
"""Which network a diffusion checkpoint is a training of."""


COMMON_READS = (
    "prompt",
    "negative_prompt",
    "sd_steps",
    "sd_strength",
    "sd_guidance_scale",
    "sd_sampler",
    "sd_lcm_lora",
    "enable_controlnet",
    "controlnet_method",
    "controlnet_conditioning_scale",
    "seed",
)
BRUSHNET_READS = ("enable_brushnet", "brushnet_method", "brushnet_conditioning_scale")
POWERPAINT_V2_READS = ("enable_powerpaint_v2", "powerpaint_task", "fitting_degree")
"""What diffusion models read, by what they are; see DiffusionFacts.reads."""


class DiffusionFacts(Spec):
    """What there is to know of a diffusion checkpoint."""

    base: Base
    inpainting: bool = Field(
        description="Whether the network sees mask and masked picture (9 channels); else they are "
        "put back after each step (4 channels)."
    )
    is_single_file: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """The parameters that the checkpoint's runner makes something of.

        A BrushNet tells a network of the mask that does not see it itself; PowerPaint v2 is one
        for SD 1.5.
        """
        if self.inpainting:
            return COMMON_READS
        powerpaint = POWERPAINT_V2_READS if self.base == "sd15" else ()
        return (*COMMON_READS, *BRUSHNET_READS, *powerpaint)


class WeightsSpec(Spec):
    """What has a name, a licence and files: a model's entry, or an adapter's."""

    name: ModelName
    description: str = ""
    licence: Licence
    extra: Extra | None = None
    weights: tuple[WeightFile, ...] = ()
    repository: HubRepository | None = None
    path: Path | None = Field(
        default=None,
        description="A file or folder of one's own, below the model directory or absolute. Nothing "
        "is fetched for it.",
    )
    memory_mb: int = Field(ge=0, description="Resident size of the loaded weights, in MiB.")


AdapterRole = Literal[
    "lcm-lora",
    "vae",
    "tokenizer",
    "controlnet-canny",
    "controlnet-inpaint",
    "controlnet-openpose",
    "controlnet-depth",
    "depth-estimator",
    "brushnet",
    "powerpaint-v2",
]


class AdapterSpec(WeightsSpec):
    """One entry of configs/adapters/*.yaml: what completes a checkpoint, or replaces a part of it.

    lcm-lora: what `sd_lcm_lora` asks for. vae: takes the place of a VAE that overflows in float16.
    tokenizer: the vocabulary that a single file lacks. controlnet-*: what `enable_controlnet` asks
    for, by the control picture that it was trained on; depth-estimator makes the one of depth.
    brushnet, powerpaint-v2: what the switches of that name ask for.
    """

    role: AdapterRole
    bases: tuple[Base, ...] = Field(min_length=1, description="Checkpoints that it fits.")
    models: tuple[ModelName, ...] = Field(
        default=(), description="Models without `diffusion` facts that it fits besides, by name."
    )
    inpainting: bool | None = Field(
        default=None,
        description="Fits only networks that see the mask (true), or only those that do not.",
    )
    place: int = Field(
        default=100,
        ge=0,
        description="Smaller ones are listed first, and the first of a kind answers where a "
        "request names none; of equal ones the files' names decide.",
    )

    def fits(self, spec: "ModelSpec") -> bool:
        """Whether the adapter is of use to a model."""
        facts = spec.diffusion
        if facts is None:
            return spec.name in self.models
        if facts.base not in self.bases:
            return False
        if self.inpainting not in (None, facts.inpainting):
            return False
        return self.role != "tokenizer" or facts.is_single_file


class ModelSpec(WeightsSpec):
    """One entry of configs/models/*.yaml."""

    aliases: tuple[ModelName, ...] = ()
    family: str = Field(description="The deployment that serves the model by default.")
    kind: Kind
    runner: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Z]\w*$")] = Field(
        description='"module:Class" of the InpaintModel, imported inside the replica only.'
    )
    size: SizeRule = SizeRule(multiple_of=1)
    tiling: Tiling = StrategyTiling()
    max_pixels: int | None = Field(
        default=None,
        ge=1,
        description="Most pixels that one run of a diffusion model may paint, padding included; "
        "absent: no limit but the server's.",
    )
    batchable: bool = Field(default=False, description="Whether forward takes more than one image.")
    precisions: tuple[Literal["fp32", "fp16", "bf16"], ...] = ("fp32",)
    reads: tuple[str, ...] = Field(
        default=(),
        description="Parameters that change the result; of a model with `diffusion` facts: absent, "
        "they follow from those.",
    )
    default_seed: int | None = Field(
        default=None,
        ge=0,
        description="Seed of a request that names none, where `seed` is read; absent: drawn anew.",
    )
    diffusion: DiffusionFacts | None = Field(default=None, description="Of diffusion models only.")

    @model_validator(mode="before")
    @classmethod
    def _reads_follow_from_facts(cls, values: Any) -> Any:
        facts = values.get("diffusion") if isinstance(values, Mapping) else None
        if not facts or values.get("reads"):
            return values
        return {**values, "reads": DiffusionFacts.model_validate(facts).reads}

    @model_validator(mode="after")
    def _diffusion_facts_are_of_diffusion_models(self) -> Self:
        if self.diffusion is not None and self.kind is not Kind.DIFFUSION:
            raise ValueError(f"`diffusion` is for models of kind 'diffusion', not '{self.kind}'")
        return self
