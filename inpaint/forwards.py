"""How many pixels a model may be given at once, padding included."""

from math import prod

from inpaint.arrays import Size
from inpaint.errors import ImageTooLargeError
from inpaint.specs import ModelSpec

MOST_GROWTH = 2
"""A tile may grow by this much through padding, whatever the server's limit."""


def check_forward(spec: ModelSpec, tile: Size, padded: Size, max_pixels: int, advice: str) -> None:
    """Refuse a tile that padding would make huge, as a line of 1x60000 px for a square network.

    Args:
        spec: the model; its own `max_pixels` counts where it names one.
        tile: (height, width) before padding.
        padded: the same afterwards.
        max_pixels: of the largest picture that the server takes.
        advice: what to do instead.

    Raises:
        ImageTooLargeError: the model would have to paint more pixels at once than it may.
    """
    height, width = padded
    most = spec.max_pixels or max(max_pixels, MOST_GROWTH * prod(tile))
    if prod(padded) > most:
        raise ImageTooLargeError(
            f"'{spec.name}' would have to paint {width}x{height} px at once, which are "
            f"{prod(padded)} pixels; it takes at most {most}. {advice}"
        )
