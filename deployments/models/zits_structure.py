"""What ZITS's networks are told of a picture's structure: its edges and its straight lines.

After the authors' inference code (DQiaole/ZITS_inpainting) as IOPaint runs it.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import rgb2gray
from skimage.draw import line_aa
from skimage.feature import canny
from torch import Tensor
from torch.nn.functional import interpolate

from inpaint.arrays import Image

Wireframe = Callable[[Tensor], Mapping[str, Tensor]]
"""(1, 3, 512, 512) standardised RGB to `num_proposals`, `lines_pred` (N, 4), `lines_score` (N)."""

EdgeLine = Callable[..., tuple[Tensor, Tensor]]
"""(img, edge, line, masks=), all (1, C, 256, 256), to the logits of edges and of lines."""

Upsample = Callable[[Tensor], Tensor]
"""(1, 1, H, W) edges or lines to the logits of twice the size."""

STRUCTURE_PX = 256
"""Side of the square on which edges and lines are completed."""

CANNY_SIGMA = 3.0
LINE_SCORE = 0.85
"""Lines that the wireframe network believes in less are not drawn."""

RGB_MEAN = (109.73, 103.832, 98.681)
RGB_STD = (22.275, 22.124, 23.229)
HOLE_LEVEL = 127.5
"""Mean, deviation and level of holes, of 255, in the wireframe network's training."""

LINE_SHIFT, LINE_GAIN = 0.05, 4
UPSAMPLE_SHIFT, UPSAMPLE_GAIN = 2, 2
"""(logit + shift) * gain makes faint structure stronger; fixed by the authors."""

EDGE_MIN = 0.25
"""Probability from which a pixel is an edge."""


def find_edges(image: Image) -> NDArray[np.float32]:
    """(H, W), 1 on the edges of `image`; the hole is not spared."""
    edges: NDArray[np.float32] = canny(rgb2gray(image), sigma=CANNY_SIGMA).astype(np.float32)
    return edges


def standardise(image: Tensor, holes: Tensor) -> Tensor:
    """What the wireframe network takes: (1, 3, H, W) 0..1 and (1, 1, H, W) 0 or 1 to float."""
    mean, std = (
        torch.tensor(values, device=image.device).reshape(1, 3, 1, 1)
        for values in (RGB_MEAN, RGB_STD)
    )
    return (image * 255 * (1 - holes) + holes * HOLE_LEVEL - mean) / std


def draw_lines(found: Mapping[str, Tensor]) -> Tensor:
    """(1, 1, 256, 256) 0..1: the wireframe network's lines, smoothed, the strongest on top.

    Ends are (x, y, x, y) in parts of the picture; one at its very border is drawn inside it.
    """
    canvas = np.zeros((STRUCTURE_PX, STRUCTURE_PX))
    if int(found["num_proposals"]) > 0:
        ends = found["lines_pred"][found["lines_score"] > LINE_SCORE].cpu().numpy() * STRUCTURE_PX
        for left, top, right, bottom in ends.clip(0, STRUCTURE_PX - 1).astype(int):
            rows, columns, values = line_aa(top, left, bottom, right)
            canvas[rows, columns] = np.maximum(canvas[rows, columns], values)
    levels = np.clip(canvas * 255, 0, 255).astype(np.uint8)
    return torch.from_numpy(levels).float().div(255)[None, None]


def complete(
    edge_line: EdgeLine, image: Tensor, edges: Tensor, lines: Tensor, holes: Tensor
) -> tuple[Tensor, Tensor]:
    """Edges (0 or 1) and lines (0..1) continued through the holes; all (1, C, 256, 256).

    One pass, as in IOPaint; the authors run five, each of which trusts a fifth of the hole.
    """
    known = 1 - holes
    edges, lines = edges * known, lines * known
    edge_logits, line_logits = edge_line(image * known, edges, lines, masks=holes)
    edges = edges + torch.sigmoid(edge_logits) * holes
    lines = lines + torch.sigmoid((line_logits + LINE_SHIFT) * LINE_GAIN) * holes
    return (edges >= EDGE_MIN).float(), lines.float()


def enlarge(upsample: Upsample, structure: Tensor, side: int) -> Tensor:
    """(1, 1, 256, 256) edges or lines to (1, 1, side, side): doubled often enough, then resized."""
    if side == structure.shape[2]:
        return structure
    while structure.shape[2] < side:
        structure = torch.sigmoid((upsample(structure) + UPSAMPLE_SHIFT) * UPSAMPLE_GAIN)
    return interpolate(structure, size=(side, side), mode="bilinear", align_corners=False)


def shrink_image(image: Image, side: int) -> Image:
    """(side, side, 3): averaged where it gets smaller, else interpolated."""
    way = cv2.INTER_AREA if min(image.shape[:2]) > side else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=way).astype(np.uint8, copy=False)
