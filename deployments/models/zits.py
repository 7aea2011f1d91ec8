"""ZITS: completes edges and straight lines first, then paints along them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deployments.devices import trouble_of
from deployments.models.checkpoints import is_tensor, read_probed_torchscript
from deployments.models.zits_positions import encode_positions, shrink_mask
from deployments.models.zits_structure import (
    STRUCTURE_PX,
    EdgeLine,
    Upsample,
    Wireframe,
    complete,
    draw_lines,
    enlarge,
    find_edges,
    shrink_image,
    standardise,
)
from inpaint.arrays import Image, Images, Mask, Masks
from inpaint.params import EraseParams
from inpaint.protocols import LoadOptions
from inpaint.specs import ModelSpec

logger = logging.getLogger("ray.serve")

Inpaint = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""(1, 3, H, W) RGB 0..1; (1, 1, H, W) holes, edges and lines; depths int64 (1, H, W); directions
int64 (1, H, W, 4); to (1, 3, H, W) RGB 0..1. H = W."""

WIREFRAME_PX = 512
"""The one size of the wireframe network's input."""

HOLE_ABOVE = 127
"""Mask values above it are holes."""


class Zits:
    """IOPaint's four TorchScript files, one image at a time."""

    def __init__(
        self,
        wireframe: Wireframe,
        edge_line: EdgeLine,
        upsample: Upsample,
        inpaint: Inpaint,
        device: str,
    ) -> None:
        self._wireframe = wireframe
        self._edge_line = edge_line
        self._upsample = upsample
        self._inpaint = inpaint
        self._device = device

    @classmethod
    def load(cls, spec: ModelSpec, weights: Sequence[Path], options: LoadOptions) -> Self:
        """See InpaintModel.load.

        `weights` are the networks for wireframe, edges and lines, upsampling, and painting.
        `spec.precisions` lets float32 only come here.
        """
        wireframe, edge_line, upsample, inpaint = (
            read_probed_torchscript(path, what, probe).to(options.device)
            for path, (what, probe) in zip(weights, PROBES.items(), strict=True)
        )
        return cls(wireframe, edge_line, upsample, inpaint, options.device)

    @torch.inference_mode()
    def forward(self, images: Images, masks: Masks, params: EraseParams) -> Images:
        """See InpaintModel.forward; `images` are one square of at least 256 px."""
        (image,), (mask,) = images, masks
        mask = np.where(mask > HOLE_ABOVE, np.uint8(255), np.uint8(0))
        holes = self._tensor(mask)
        if params.zits_wireframe:
            edges, lines = self._structure(image, mask)
        else:
            edges = lines = torch.zeros_like(holes)
        depths, directions = (
            torch.from_numpy(codes)[None].to(self._device) for codes in encode_positions(mask)
        )
        painted = self._inpaint(self._tensor(image), holes, edges, lines, depths, directions)
        levels = (painted * 255).permute(0, 2, 3, 1).cpu().numpy()
        # Truncated as in IOPaint; clipped, where IOPaint lets 256 become 0.
        return np.clip(levels, 0, 255).astype(np.uint8, order="C")

    def _structure(self, image: Image, mask: Mask) -> tuple[Tensor, Tensor]:
        """Edges and lines in the whole picture, (1, 1, H, W) 0..1."""
        small = shrink_image(image, STRUCTURE_PX)
        edges, lines = complete(
            self._edge_line,
            (self._tensor(small) - 0.5) / 0.5,
            torch.from_numpy(find_edges(small))[None, None].to(self._device),
            self._lines(image, mask),
            self._tensor(shrink_mask(mask, STRUCTURE_PX)),
        )
        side = mask.shape[0]
        return enlarge(self._upsample, edges, side), enlarge(self._upsample, lines, side)

    def _lines(self, image: Image, mask: Mask) -> Tensor:
        """The straight lines outside the holes, (1, 1, 256, 256) 0..1."""
        given = standardise(
            self._tensor(shrink_image(image, WIREFRAME_PX)),
            self._tensor(shrink_mask(mask, WIREFRAME_PX)),
        )
        try:
            found = self._wireframe(given)
        except RuntimeError as error:
            if trouble_of(error):
                raise
            # The published network takes a minimum over the junctions that it found, which
            # TorchScript reports so when there are none: a clear sky has no lines.
            logger.info("zits found no junctions: %s", str(error).rpartition("RuntimeError: ")[2])
            return torch.zeros(1, 1, STRUCTURE_PX, STRUCTURE_PX, device=self._device)
        return draw_lines(found).to(self._device)

    def _tensor(self, pixels: NDArray[np.uint8]) -> Tensor:
        """(H, W) or (H, W, 3) 0..255 as (1, C, H, W) float 0..1 on the device."""
        planes = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32) / 255
        return torch.from_numpy(planes).permute(2, 0, 1)[None].to(self._device)


def is_wireframe(network: torch.jit.ScriptModule) -> bool:
    """Whether it takes one tensor and answers with a dictionary.

    It is not called: it may fail on any picture that has no lines for it (see Zits._lines).
    """
    schema = cast(Any, network.forward).schema
    kinds = [argument.type.kind() for argument in schema.arguments[1:]]
    return kinds == ["TensorType"] and [r.type.kind() for r in schema.returns] == ["DictType"]


def is_edge_line(network: torch.jit.ScriptModule) -> bool:
    """Whether it turns a picture, its edges, its lines and its holes into two maps."""
    holes = torch.ones(1, 1, STRUCTURE_PX, STRUCTURE_PX)
    edges, lines = network(holes.repeat(1, 3, 1, 1), holes, holes, masks=holes)
    return is_tensor(edges, holes.shape) and is_tensor(lines, holes.shape)


def is_upsample(network: torch.jit.ScriptModule) -> bool:
    """Whether it doubles a map."""
    small = torch.ones(1, 1, STRUCTURE_PX, STRUCTURE_PX)
    return is_tensor(network(small), (1, 1, 2 * STRUCTURE_PX, 2 * STRUCTURE_PX))


def is_inpaint(network: torch.jit.ScriptModule) -> bool:
    """Whether it paints a picture from all six inputs."""
    image = torch.ones(1, 3, STRUCTURE_PX, STRUCTURE_PX)
    holes = image[:, :1]
    depths = holes[:, 0].long()
    directions = depths[..., None].repeat(1, 1, 1, 4)
    return is_tensor(network(image, holes, holes, holes, depths, directions), image.shape)


PROBES = {
    "ZITS's wireframe network": is_wireframe,
    "ZITS's edge and line network": is_edge_line,
    "ZITS's structure upsampler": is_upsample,
    "ZITS's painting network": is_inpaint,
}
"""In the order of the weight files."""
