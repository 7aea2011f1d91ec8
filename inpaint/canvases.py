"""What one run of a diffusion model paints: a Canvas is data, made without pixels.

lay_out(size, options, rule, max_pixels)
    use_croper     -> the croper's box, as far as it lies in the picture
    use_extender   -> the extender's box, which may reach beyond the picture
    neither        -> the whole picture

The box is then shrunk by sd_scale and padded to what the network takes. The steps are IOPaint's,
and so is the order: with a croper the extender is of no effect.
"""

from dataclasses import dataclass
from math import prod

from inpaint.arrays import Size
from inpaint.boxes import Box
from inpaint.diffusion import DiffusionOptions
from inpaint.errors import ImageTooLargeError, ParamsError
from inpaint.forwards import check_forward
from inpaint.plans import Tile, shrunk
from inpaint.specs import ModelSpec, SizeRule


@dataclass(frozen=True, slots=True)
class Canvas:
    """One run. Boxes are pixels of the finished picture."""

    size: Size
    """(height, width) of the finished picture."""
    picture: Box
    """Where the picture that came in lies."""
    place: Box
    """What is painted; reaches beyond `picture` where that is extended."""
    model_size: Size
    """(height, width) of `place` after sd_scale."""
    padded_size: Size
    """`model_size`, grown to what the network takes."""

    @property
    def is_extended(self) -> bool:
        """Whether the finished picture is larger than the one that came in."""
        return self.size != self.picture.size

    @property
    def tile(self) -> Tile:
        """What is cut out of the picture, once it has its final size."""
        return Tile(self.place, self.model_size)


def lay_out(size: Size, options: DiffusionOptions, rule: SizeRule, max_pixels: int) -> Canvas:
    """The canvas for a picture of (height, width) `size`.

    Args:
        size: of the picture.
        options: the request's.
        rule: what sizes the network takes.
        max_pixels: most pixels of a finished picture.

    Raises:
        ParamsError: the croper's or extender's box has no pixel of the picture.
        ImageTooLargeError: the extender asks for a larger picture than the server makes.
    """
    whole = Box.of_image(size)
    place = _place(whole, options)
    finished = whole.union(place)
    if finished != whole and prod(finished.size) > max_pixels:
        raise ImageTooLargeError(
            f"The extended picture would be {_words(finished.size)} px, and this server makes at "
            f"most {max_pixels} pixels of one; ask for a smaller extender_width or "
            "extender_height."
        )
    model_size = shrunk(place.size, int(options.sd_scale * max(place.size)))
    return Canvas(
        size=finished.size,
        picture=whole.moved(-finished.left, -finished.top),
        place=place.moved(-finished.left, -finished.top),
        model_size=model_size,
        padded_size=rule.padded(model_size),
    )


def check_run(canvas: Canvas, spec: ModelSpec, max_pixels: int) -> None:
    """Raise ImageTooLargeError when the model may not paint so many pixels; see check_forward."""
    advice = "Paint a part of the picture with use_croper, or shrink it for painting with sd_scale."
    check_forward(spec, canvas.model_size, canvas.padded_size, max_pixels, advice)


def _place(whole: Box, options: DiffusionOptions) -> Box:
    """What is painted, in the coordinates of the picture that came in."""
    if options.use_croper:
        left, top = options.croper_x, options.croper_y
        box = Box(left, top, left + options.croper_width, top + options.croper_height)
        _require_overlap("croper", box, whole)
        return box.clipped(whole)
    if options.use_extender:
        left, top = options.extender_x, options.extender_y
        box = Box(left, top, left + options.extender_width, top + options.extender_height)
        _require_overlap("extender", box, whole)
        return box
    return whole


def _require_overlap(name: str, box: Box, whole: Box) -> None:
    if not box.overlaps(whole):
        raise ParamsError(
            f"The {name}'s box reaches from ({box.left}, {box.top}) to ({box.right}, {box.bottom}) "
            f"and has no pixel of the picture, which is {_words(whole.size)} px; move it with "
            f"{name}_x and {name}_y."
        )


def _words(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
