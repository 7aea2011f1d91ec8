"""The interfaces that parts of the system meet at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

from pydantic import Field

from inpaint.arrays import Image, Images, Masks
from inpaint.params import EraseParams
from inpaint.specs import ModelSpec, Spec

Precision = Literal["fp32", "fp16", "bf16"]
Engine = Literal["auto", "torch", "openvino"]
"""What computes a network; "auto" is the fastest that is installed and has the device."""
SafetyChecker = Literal["checkpoint", "off"]
"""Whether a diffusion checkpoint's own safety checker looks at the results."""


class LoadOptions(Spec):
    """How a family loads its models."""

    device: str = "cpu"
    precision: Precision = "fp32"
    engine: Engine = "torch"
    threads: int = Field(default=1, ge=1, description="Of an engine that keeps its own threads.")
    low_mem: bool = Field(default=False, description="Encode and decode large pictures in tiles.")
    cpu_offload: bool = Field(
        default=False, description="Keep each part of a pipeline on the GPU only while it runs."
    )
    cpu_textencoder: bool = Field(
        default=False, description="Encode prompts on the CPU, in float32."
    )
    safety_checker: SafetyChecker = "checkpoint"


class InpaintModel(Protocol):
    """Repaints images. One instance serves one replica, one call at a time, on one thread.

    A model knows its network and nothing else: padding, resizing, cropping and blending happen
    outside. A class that satisfies this protocol, in any importable module, and a YAML file that
    names it are all it takes to add an architecture.
    """

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """Read the weights onto `options.device` ("cpu", "cuda:0").

        Args:
            spec: the model's entry in the catalog.
            weights: one existing, verified file for each entry of `spec.weights`, in order.
            options: device and precision of the family.

        Raises:
            WeightsCorruptError: a file does not hold this network's weights.
        """
        ...

    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """Repaint `images` where `masks` say so.

        Args:
            images: (N, H, W, 3) uint8 RGB; H and W satisfy `spec.size`; N is 1 unless
                `spec.batchable`. Read-only.
            masks: (N, H, W) uint8, 0..255; grey values come from RESIZE, and each model turns
                them into holes by its own rule. Read-only.
            params: validated parameters of the model's kind, the same for the whole batch.

        Returns:
            A new (N, H, W, 3) uint8 RGB array. Pixels outside the masks may differ from
            `images`: the caller composites, so a model never blends by itself.

        Raises:
            ModelError: the network failed; the replica stays usable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Painted:
    """What a family answers for one tile."""

    image: Image
    """(H, W, 3) uint8 RGB, of the tile's size."""
    queue_ms: float
    """From the tile's arrival at the replica to the start of its forward, loading included."""
    forward_ms: float
    """The forward of the batch that the tile was part of."""
    batch: int
    """How many tiles that batch had."""
