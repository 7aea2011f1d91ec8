"""What is known about a model before any weight is loaded: the types of configs/models/*.yaml."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from inpaint.arrays import Size


class Spec(BaseModel):
    """Base of all config types: a key we do not know is an error, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Kind(StrEnum):
    """What a family does, and so what parameters its models take."""

    ERASE = "erase"
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


Extra = Literal["erase", "ocr"]
EXTRA_PACKAGES: dict[Extra, tuple[str, ...]] = {
    "erase": ("torch", "safetensors"),
    "ocr": ("paddleocr", "rapidocr", "onnxruntime"),
}
"""What must be importable for an extra to count as installed."""

ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][\w.-]*)?$")]


class ModelSpec(Spec):
    """One entry of configs/models/*.yaml."""

    name: ModelName
    aliases: tuple[ModelName, ...] = ()
    family: str = Field(description="The deployment that serves the model by default.")
    kind: Kind
    runner: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Z]\w*$")] = Field(
        description='"module:Class" of the InpaintModel, imported inside the replica only.'
    )
    description: str = ""
    licence: Licence
    extra: Extra | None = None
    weights: tuple[WeightFile, ...] = ()
    size: SizeRule = SizeRule(multiple_of=1)
    tiling: Tiling = StrategyTiling()
    batchable: bool = Field(default=False, description="Whether forward takes more than one image.")
    precisions: tuple[Literal["fp32", "fp16", "bf16"], ...] = ("fp32",)
    reads: tuple[str, ...] = Field(default=(), description="Parameters that change the result.")
    default_seed: int | None = Field(
        default=None,
        ge=0,
        description="Seed of a request that names none, where `seed` is read; absent: drawn anew.",
    )
    memory_mb: int = Field(ge=0, description="Resident size of the loaded weights, in MiB.")
