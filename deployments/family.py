"""What a replica of a family is made of, and whom it tells of itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from inpaint.protocols import Engine, Precision, SafetyChecker
from inpaint.reports import ReplicaReport
from inpaint.specs import AdapterSpec, ModelSpec

HANG_AFTER_S = 600.0
"""When a forward on the CPU counts as hung: some do take minutes there."""

HANG_AFTER_ON_GPU_S = 60.0
"""The same where the replica has a share of a GPU. With three failed health checks, 5 s apart, half
of a request's 120 s are left for the replica that takes over."""

Report = Callable[[ReplicaReport], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FamilySetup:
    """What a replica is made of."""

    family: str
    specs: tuple[ModelSpec, ...]
    device: str = "auto"
    precision: Precision = "fp32"
    engine: Engine = "torch"
    low_mem: bool = False
    cpu_offload: bool = False
    cpu_textencoder: bool = False
    safety_checker: SafetyChecker = "checkpoint"
    adapters: tuple[AdapterSpec, ...] = ()
    """Of diffusion models: what completes a checkpoint, or takes the place of a part."""
    model_dir: Path | None = None
    model_folders: tuple[Path, ...] = ()
    trust_unverified_weights: bool = False
    may_fetch_weights: bool = False
    gpu_share: float = 0.0
    """What part of a GPU Ray gave this replica; 0 for none."""

    def precision_of(self, spec: ModelSpec) -> Precision:
        """The family's, where the model has it."""
        return self.precision if self.precision in spec.precisions else "fp32"

    def hang_after_s(self, configured: float | None) -> float:
        """When a forward counts as hung; `configured` is the family's `user_config`."""
        return configured or (HANG_AFTER_ON_GPU_S if self.gpu_share else HANG_AFTER_S)
