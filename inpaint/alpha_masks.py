"""Masks whose transparent pixels mark what is repainted, as OpenAI's images API has them."""

from dataclasses import replace

import numpy as np

from inpaint.arrays import Mask, check_pair
from inpaint.codecs import Picture
from inpaint.errors import MaskError


def take_holes(picture: Picture, marks: Picture) -> tuple[Picture, Mask]:
    """The holes that `marks` shows, and `picture` opaque there.

    Only an alpha of exactly 0 is a hole, so what is half transparent stays as it is. What is
    painted into a hole would not be seen if the picture stayed transparent there.

    Args:
        picture: what is repainted; not changed.
        marks: of the same size, maybe `picture` itself.

    Returns:
        The picture, and (H, W) uint8 with 255 in the holes.

    Raises:
        MaskError: another size, or no pixel is fully transparent.
    """
    if marks.alpha is None or marks.alpha.all():
        whose = "the picture, which came without a mask," if marks is picture else "the mask"
        raise MaskError(
            f"Nothing is marked: no pixel of {whose} is fully transparent, and alpha 0 is what "
            "marks a place here. A mask of white on black is for POST /inpaint."
        )
    mask = np.where(marks.alpha == 0, np.uint8(255), np.uint8(0))
    check_pair(picture.image, mask)
    if picture.alpha is None:
        return picture, mask
    return replace(picture, alpha=np.maximum(picture.alpha, mask)), mask
