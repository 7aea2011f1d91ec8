"""What diffusion models add to the domain: options, progress and interface."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Protocol, Self

from pydantic import Field

from inpaint.arrays import Image, Mask
from inpaint.params import DiffusionParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec, Spec

FARTHEST_PX = 2**31 - 1
"""No box reaches farther; what it would take of memory is judged later, by the picture."""

Left = Annotated[int, Field(ge=-FARTHEST_PX, le=FARTHEST_PX, description="Left side of its box.")]
Top = Annotated[int, Field(ge=-FARTHEST_PX, le=FARTHEST_PX, description="Upper side of its box.")]
Side = Annotated[int, Field(ge=1, le=FARTHEST_PX, description="Length of that side of its box.")]


class DiffusionOptions(Spec):
    """What part of the picture is painted, and how it is put back. Lengths are pixels."""

    use_croper: bool = Field(default=False, description="Paint inside the croper's box only.")
    croper_x: Left = 0
    croper_y: Top = 0
    croper_height: Side = 512
    croper_width: Side = 512
    use_extender: bool = Field(
        default=False, description="Paint beyond the picture, into the extender's box."
    )
    extender_x: Left = 0
    extender_y: Top = 0
    extender_height: Side = 640
    extender_width: Side = 640
    sd_scale: float = Field(default=1.0, gt=0, le=1, description="Shrink before painting.")
    sd_mask_blur: int = Field(default=11, ge=0, le=96, description="Feather of the seam.")
    sd_match_histograms: bool = Field(
        default=False, description="Give the result the colours of what surrounds the hole."
    )
    sd_keep_unmasked_area: bool = Field(
        default=True, description="Put the input's pixels back outside the mask."
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of denoising is done."""

    number: int
    """From 1."""
    total: int
    preview: Image | None = None
    """(H/8, W/8, 3) uint8 RGB, coarse; None where nobody asked."""


NO_ADAPTERS: Mapping[str, Path] = MappingProxyType({})


class DiffusionModel(Protocol):
    """Paints one picture in many steps. One call at a time, on one thread.

    Whatever a call needs besides the weights is made for the call: scheduler, generator, masks.
    Nothing that a request asks for changes what the next one finds.
    """

    @classmethod
    def load(
        cls,
        spec: ModelSpec,
        weights: Sequence[Path],
        options: LoadOptions,
        adapters: Mapping[str, Path] = NO_ADAPTERS,
    ) -> Self:
        """Read the weights: one folder in diffusers' layout, or one single file.

        Args:
            spec: the model's entry in the catalog.
            weights: the folder or the file, verified.
            options: device, precision and memory options of the family.
            adapters: verified folders or files that take the place of parts, or complete them, by
                role: "vae", "tokenizer" (the vocabulary that a single file lacks).

        Raises:
            WeightsCorruptError: a file does not hold what it should.
            WeightsMissingError: a part is neither in the checkpoint nor in the model directory.
        """
        ...

    def paint(
        self,
        image: Image,
        mask: Mask,
        params: DiffusionParams,
        adapters: Mapping[str, Path],
        on_step: Callable[[Step], None],
        previews: bool = False,
        example: Image | None = None,
    ) -> Image:
        """Paint `image` where `mask` is 255.

        Args:
            image: (H, W, 3) uint8 RGB; H and W satisfy `spec.size`. Read-only.
            mask: (H, W) uint8, 0 or 255. Read-only.
            params: `seed` is settled.
            adapters: verified folders or files of what `params` ask for besides the checkpoint,
                by role ("lcm-lora", "controlnet-canny"); loaded when first needed and kept. See
                inpaint/adapters.py.
            on_step: called after each step, on this thread; what it raises ends the run.
            previews: whether steps bring a coarse picture along.
            example: (h, w, 3) uint8 RGB of any size: what the hole should show, for models that
                read `paint_by_example_example_image`.

        Returns:
            A new (H, W, 3) uint8 RGB array of the whole picture; the caller blends.

        Raises:
            ParamsError: the parameters leave no step to run.
            ContentRefusedError: the checkpoint's safety checker has flagged the result.
            WeightsMissingError: an adapter that `params` ask for is not among `adapters`.
            WeightsCorruptError: an adapter does not fit the checkpoint.
        """
        ...
