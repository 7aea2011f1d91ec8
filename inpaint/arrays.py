"""Array conventions: one colour order, one mask meaning, checked once where they enter."""

import numpy as np
from numpy.typing import NDArray

from inpaint.errors import MaskError

Image = NDArray[np.uint8]
"""(height, width, 3), RGB, 0..255. Never BGR, never float, never with alpha."""

Mask = NDArray[np.uint8]
"""(height, width), 255 is repainted, 0 is kept. Grey only where RESIZE made it so."""

Alpha = NDArray[np.uint8]
"""(height, width), 255 is opaque. Travels beside the image."""

Images = NDArray[np.uint8]
"""(N, height, width, 3): a batch of equally sized images."""

Masks = NDArray[np.uint8]
"""(N, height, width): the masks of a batch."""

Size = tuple[int, int]
"""(height, width) in pixels."""


def check_pair(image: Image, mask: Mask) -> None:
    """Raise MaskError unless `mask` has the height and width of `image`."""
    if image.shape[:2] != mask.shape:
        raise MaskError(
            f"The mask is {mask.shape[1]}x{mask.shape[0]} px, "
            f"the image {image.shape[1]}x{image.shape[0]} px; they must be equal."
        )
