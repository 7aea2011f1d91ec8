"""Control pictures, made of the picture that is painted on: what a ControlNet keeps to."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image as Pictures
from torch import Tensor

from deployments.models.depth_maps import depth_map, estimator_for
from deployments.models.poses import detector_for, pose_map
from deployments.models.stable_diffusion_calls import Order
from deployments.models.stable_diffusion_shared import Shared
from inpaint.arrays import Image, Mask
from inpaint.errors import ModelError

CANNY_THRESHOLDS = (100, 200)
"""Of weak and of strong edges, in levels of the gradient; IOPaint's."""
MASKED = -1.0
"""What a ControlNet for inpainting takes for a pixel that is to be painted."""


def maker_of(method: str, shared: Shared, order: Order) -> Callable[[], Any]:
    """What draws the control picture for a pipeline; all that it needs is loaded.

    Args:
        method: what the ControlNet was trained on: "canny", "inpaint", "depth", "openpose".
        shared: keeps the networks that find depth and poses.
        order: the picture, the mask, and the adapters.

    Raises:
        WeightsMissingError: such a network is not on disk.
        WeightsCorruptError: such a network is damaged.
        ExtraMissingError: the package that finds poses is not installed.
    """
    image = order.image
    match method:
        case "canny":
            return lambda: Pictures.fromarray(edges(image))
        case "inpaint":
            return lambda: holes(image, order.mask)
        case "depth":
            estimator = estimator_for(shared, order)
            return lambda: Pictures.fromarray(depth_map(image, estimator, shared))
        case "openpose":
            detector = detector_for(shared, order)
            return lambda: pose_map(image, detector, shared)
    raise ModelError(f"There is no way to draw the control picture of a ControlNet for {method}.")


def edges(image: Image) -> Image:
    """(H, W, 3) uint8, 255 on Canny's edges of the RGB image and 0 elsewhere."""
    found = cv2.Canny(image, *CANNY_THRESHOLDS)
    return np.repeat(found[:, :, None], 3, axis=2).astype(np.uint8, copy=False)


def holes(image: Image, mask: Mask) -> Tensor:
    """(1, 3, H, W) float32: the image as 0..1, and MASKED where it is to be painted.

    A tensor and no picture, for the pipelines would clip a picture's values.
    """
    values = image.astype(np.float32) / 255
    values[mask > 127] = MASKED
    return torch.from_numpy(values).permute(2, 0, 1)[None].contiguous()
