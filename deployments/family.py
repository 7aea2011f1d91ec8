"""What a replica of a family is made of, and whom it tells of itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from inpaint.protocols import Engine, Precision, SafetyChecker
from inpaint.reports import ReplicaReport
from inpaint.specs import AdapterSpec, ModelSpec

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
