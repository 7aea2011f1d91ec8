"""The settings of a Serve config: `args:` of the application, `user_config:` of deployments.

A change of `args` restarts every replica; a change of `user_config` reaches running ones.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inpaint.protocols import Engine, Precision, SafetyChecker
from inpaint.specs import Kind, ModelName, Spec

DeploymentName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
MiB = 2**20

DIFFUSION_OPTIONS = frozenset({"low_mem", "cpu_offload", "cpu_textencoder", "safety_checker"})
"""Options of a family that the other kinds have no use for."""


class FamilyArgs(Spec):
    """One family: a deployment and the models that it serves."""

    deployment: DeploymentName
    kind: Kind
    models: tuple[ModelName, ...] | None = Field(
        default=None, description="Which models; absent: all whose YAML names this deployment."
    )
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    precision: Precision = "fp32"
    engine: Engine = Field(
        default="auto",
        description="auto: OpenVINO for lama on a CPU where it is installed, else torch.",
    )
    low_mem: bool = Field(
        default=False, description="Encode and decode large pictures in tiles; diffusion only."
    )
    cpu_offload: bool = Field(
        default=False,
        description="Keep each part of a model on the GPU only while it runs; diffusion only.",
    )
    cpu_textencoder: bool = Field(
        default=False, description="Encode prompts on the CPU; diffusion only."
    )
    safety_checker: SafetyChecker = Field(
        default="checkpoint",
        description="Whether a checkpoint's own checker looks at results; diffusion only.",
    )

    @model_validator(mode="after")
    def _memory_options_are_of_diffusion_models(self) -> Self:
        if self.kind is not Kind.DIFFUSION:
            wrong = sorted(DIFFUSION_OPTIONS & self.model_fields_set)
            if wrong:
                raise ValueError(
                    f"{', '.join(wrong)}: only for families of kind 'diffusion'; "
                    f"'{self.deployment}' is of kind '{self.kind}'"
                )
        return self


Scalable = Literal["auto"] | bool


class ClusterArgs(Spec):
    """What the server knows of the Ray cluster that it runs in."""

    scalable: Scalable = Field(
        default="auto",
        description="Whether nodes may be added on demand; auto: where Ray's autoscaler runs.",
    )


class IOPaintArgs(Spec):
    """What IOPaint's command line sets for its routes under /api/v1."""

    quality: int = Field(
        default=100, ge=1, le=100, description="Of the JPEG and lossy WebP that /api/v1 answers."
    )
    input: Path | None = Field(
        default=None,
        description="The picture that the web page opens with, or a folder: its file manager's.",
    )
    mask_dir: Path | None = Field(
        default=None, description="The folder of masks that the file manager shows beside it."
    )
    output_dir: Path | None = Field(
        default=None,
        description="Where /api/v1/save_image writes; absent: it refuses. The file manager shows "
        "it too.",
    )
    enable_controlnet: bool = Field(
        default=False, description="Whether the web page begins with ControlNet switched on."
    )
    sockets: str | None = Field(
        default=None,
        description="The application under /socket.io, which is told each step; absent: none.",
    )
    controlnet_method: ModelName | None = Field(
        default=None,
        description="The ControlNet that the web page begins with; absent: the default model's "
        "first.",
    )


class AccessArgs(Spec):
    """Who may ask, and from which web pages."""

    auth: Literal["required", "none"] = Field(
        default="none", description="Whether a request must bring an API key."
    )
    api_keys: Path | None = Field(
        default=None,
        description="The file of keys, on every node that runs an ingress; a mounted secret.",
    )
    cors_origins: tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")], ...] = Field(
        default=(),
        description="Origins whose pages may call this server from a browser, or *; absent: none.",
    )

    @model_validator(mode="after")
    def _required_keys_are_named(self) -> Self:
        if self.auth == "required" and self.api_keys is None:
            raise ValueError("auth: required needs api_keys, the file of keys")
        if self.auth == "none" and self.api_keys is not None:
            raise ValueError("api_keys has no effect with auth: none; say auth: required")
        return self


class SocketArgs(Spec):
    """The `args:` of the application under /socket.io; see serve_app/sockets."""

    access: AccessArgs = Field(
        default=AccessArgs(), description="As in the other application; `check` compares them."
    )
    max_connections: int = Field(
        default=256, ge=1, description="Pages that may listen at once; more are refused."
    )


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
    model_dir_access: Literal["managed", "readonly"] = Field(
        default="managed", description="Whether the server may fetch weights into model_dir."
    )
    local_files_only: bool = Field(
        default=False, description="Never ask the network for weights, as IOPaint's flag says."
    )
    trust_unverified_weights: bool = Field(
        default=False, description="Load TorchScript files without a known checksum: it is code."
    )
    iopaint: IOPaintArgs = IOPaintArgs()
    cluster: ClusterArgs = ClusterArgs()
    access: AccessArgs = AccessArgs()

    @property
    def may_fetch_weights(self) -> bool:
        """Whether a model that is asked for and missing is fetched in the background."""
        return self.model_dir_access == "managed" and not self.local_files_only

    @model_validator(mode="after")
    def _deployments_are_unique(self) -> Self:
        names = [family.deployment for family in self.families]
        if len(set(names)) < len(names):
            raise ValueError(f"two families have the same deployment name: {', '.join(names)}")
        return self


class EraseConfig(Spec):
    """The `user_config:` of a family of erase models."""

    threads: int | None = Field(
        default=None, ge=1, description="Compute threads; absent: one for each usable CPU."
    )
    max_loaded_mb: int = Field(
        default=4096, ge=1, description="Weights that a replica keeps loaded, in MiB."
    )
    max_batch_pixels: int = Field(
        default=4 * 512 * 512, ge=1, description="Pixels of one batch; a larger tile runs alone."
    )
    hang_after_s: float | None = Field(
        default=None,
        gt=0,
        description="A forward that takes longer makes the replica unhealthy; one above 4 MP, in "
        "proportion. Absent: 60 where the replica has a share of a GPU, else 600.",
    )


class DiffusionConfig(Spec):
    """The `user_config:` of a family of diffusion models."""

    threads: int | None = Field(
        default=None, ge=1, description="Compute threads; absent: one for each usable CPU."
    )
    max_loaded_mb: int = Field(
        default=16384, ge=1, description="Weights that a replica keeps loaded, in MiB."
    )
    hang_after_s: float | None = Field(
        default=None,
        gt=0,
        description="A step that takes longer makes the replica unhealthy. "
        "Absent: 60 where the replica has a share of a GPU, else 600.",
    )


class OcrConfig(Spec):
    """The `user_config:` of an OCR family."""

    threads: int | None = Field(
        default=None, ge=1, description="Compute threads; absent: one for each usable CPU."
    )
    hang_after_s: float | None = Field(
        default=None,
        gt=0,
        description="A reading that takes longer makes the replica unhealthy. "
        "Absent: 60 where the replica has a share of a GPU, else 600.",
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
    max_bodies_mb: int = Field(
        default=1024,
        ge=1,
        description="Bodies and unsent answers that a replica holds at once, in MiB.",
    )
    max_pictures_mb: int = Field(
        default=2048,
        ge=1,
        description="Decoded pictures and their tiles that a replica holds at once, in MiB; one "
        "request that needs more runs alone.",
    )
    default_timeout_s: float = Field(
        default=120, gt=0, description="A request's time budget where its header names none."
    )
    max_timeout_s: float = Field(
        default=280, gt=0, description="Largest budget; below http_options.request_timeout_s."
    )
    pixel_threads: int | None = Field(
        default=None, ge=1, description="Threads for decoding and encoding; absent: one a CPU."
    )
    max_pixel_wait_s: float = Field(
        default=5,
        gt=0,
        description="While work for those threads has waited for longer, requests are refused.",
    )
    max_tiles_in_flight: int = Field(
        default=8, ge=1, description="Tiles of one request that run at once."
    )
    refuse_input_s: float = Field(
        default=60, ge=0, description="How long an input that took down two replicas is refused."
    )
    cold_wait_s: float = Field(
        default=5, ge=0, description="How long a request waits where a node has to come first."
    )

    @model_validator(mode="after")
    def _one_body_fits_among_all(self) -> Self:
        if self.max_bodies_mb < self.max_body_mb:
            raise ValueError("max_bodies_mb holds every body at once: at least max_body_mb")
        return self
