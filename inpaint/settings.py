"""The settings of a Serve config: `args:` of the application, `user_config:` of deployments.

A change of `args` restarts every replica; a change of `user_config` reaches running ones.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inpaint.protocols import Precision
from inpaint.specs import Kind, ModelName, Spec

DeploymentName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
MiB = 2**20


class FamilyArgs(Spec):
    """One family: a deployment and the models that it serves."""

    deployment: DeploymentName
    kind: Kind
    models: tuple[ModelName, ...] | None = Field(
        default=None, description="Which models; absent: all whose YAML names this deployment."
    )
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    precision: Precision = "fp32"


class AppArgs(Spec):
    """The `args:` of the application."""

    families: tuple[FamilyArgs, ...] = Field(min_length=1)
    default_models: tuple[ModelName, ...] = Field(
        default=("lama", "cv2"),
        min_length=1,
        description="Who answers a request without a model: the first whose weights are there.",
    )
    model_dir: Path | None = Field(
        default=None, description="Holds torch/hub/checkpoints; absent: $XDG_CACHE_HOME, ~/.cache."
    )
    model_folders: tuple[Path, ...] = Field(
        default=(), description="Folders with YAML files (and the code they name) of your own."
    )
    trust_unverified_weights: bool = Field(
        default=False, description="Load TorchScript files without a known checksum: it is code."
    )

    @model_validator(mode="after")
    def _deployments_are_unique(self) -> Self:
        names = [family.deployment for family in self.families]
        if len(set(names)) < len(names):
            raise ValueError(f"two families have the same deployment name: {', '.join(names)}")
        return self


class EraseConfig(Spec):
    """The `user_config:` of a family of erase models."""

    threads: int | None = Field(
        default=None, ge=1, description="Compute threads; absent: as many as there are cores."
    )
    max_loaded_mb: int = Field(
        default=4096, ge=1, description="Weights that a replica keeps loaded, in MiB."
    )
    max_batch_pixels: int = Field(
        default=4 * 512 * 512, ge=1, description="Pixels of one batch; a larger tile runs alone."
    )
    hang_after_s: float = Field(
        default=600, gt=0, description="A forward that takes longer makes the replica unhealthy."
    )


class OcrConfig(Spec):
    """The `user_config:` of an OCR family."""

    threads: int | None = Field(
        default=None, ge=1, description="Compute threads; absent: as many as there are cores."
    )
    hang_after_s: float = Field(
        default=600, gt=0, description="A reading that takes longer makes the replica unhealthy."
    )
    preload: bool = Field(
        default=False, description="Load when the replica starts, not at the first picture."
    )
    max_detector_pixels: int = Field(
        default=8_000_000,
        ge=32 * 32,
        description="What the detector may see of one picture, all scales and tiles together.",
    )
    engine: Literal["onnxruntime", "paddle"] = Field(
        default="onnxruntime", description="PaddleOCR's engine; paddle needs paddlepaddle."
    )
    det_model: str | None = Field(
        default=None,
        description="A detector by PaddleOCR's name, which PaddleOCR downloads, e.g. "
        "PP-OCRv6_medium_det; absent: the shipped one.",
    )
    rec_model: str | None = Field(
        default=None,
        description="A recogniser by PaddleOCR's name, e.g. korean_PP-OCRv5_mobile_rec.",
    )


class IngressConfig(Spec):
    """The `user_config:` of the ingress."""

    max_body_mb: int = Field(default=100, ge=1, description="Largest request body, in MiB.")
    max_megapixels: float = Field(
        default=64, gt=0, description="Largest picture, in millions of pixels."
    )
    default_timeout_s: float = Field(
        default=120, gt=0, description="A request's time budget where its header names none."
    )
    max_timeout_s: float = Field(
        default=280, gt=0, description="Largest budget; below http_options.request_timeout_s."
    )
    pixel_threads: int | None = Field(
        default=None, ge=1, description="Threads that decode and encode; absent: one a core."
    )
    max_tiles_in_flight: int = Field(
        default=8, ge=1, description="Tiles of one request that run at once."
    )
    refuse_input_s: float = Field(
        default=60, ge=0, description="How long an input that took down two replicas is refused."
    )
