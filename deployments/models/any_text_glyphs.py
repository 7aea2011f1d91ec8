"""AnyText's glyph pictures: each line as plain type, alone in a strip and where it is to stand.

The network was trained on these very drawings (Tuo et al. 2023, arXiv 2311.03054); their numbers
are those of the authors' code.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from deployments.models.any_text_places import Outline
from inpaint.arrays import Size
from inpaint.errors import ParamsError, WeightsCorruptError, WeightsMissingError

logger = logging.getLogger("ray.serve")

Glyphs = NDArray[np.bool_]
"""(height, width): True is ink."""

FONT = "SourceHanSansSC-Medium.otf"
"""The font of the network's training, which is published with its weights."""
OTHER_FONTS = (
    *("SourceHanSansSC-Regular.otf", "SourceHanSansCN-Medium.otf", "SourceHanSansCN-Regular.otf"),
    *("SourceHanSans-Medium.ttc", "SourceHanSans-Regular.ttc"),
    *("NotoSansCJK-Medium.ttc", "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf"),
    *("NotoSansSC-Regular.otf", "wqy-zenhei.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf"),
    *("PingFang.ttc", "Hiragino Sans GB.ttc", "Arial Unicode.ttf", "msyh.ttc"),
    *("NotoSans-Regular.ttf", "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf"),
)
"""What a system may have in its place, the likest first; the last row knows no Chinese."""
NO_CHARACTER = "\U0010ffff"
"""What no font has a sign for: it is drawn as the font draws all that it lacks."""

STRIP: Size = (80, 512)
STRIP_SHARE = 0.9
"""Of the strip's sides, what a line may fill."""
STRIP_TRIAL_PX = 50
PLACE_TRIAL_PX = 60
"""Sizes at which a line is measured before its own size is known."""
LEAST_EXTENT_PX = 5

SCALE = 2
"""Glyphs are drawn at twice the picture's size."""
UPRIGHT_DEGREES = 10
"""What is tilted less counts as level or upright."""
SHORT_LINE_SHARE, LONG_LINE_SHARE, LONG_UPRIGHT_SHARE = 0.8, 0.85, 0.75
"""Of the place, what a line fills: by its height where it is short, by its length where not."""


def find_font(folder: Path) -> FreeTypeFont:
    """The published font of the weights' folder, or else one of the system's.

    Raises:
        WeightsCorruptError: the published font is damaged.
        WeightsMissingError: there is none.
    """
    for name in (folder / FONT, *OTHER_FONTS):
        try:
            font = ImageFont.truetype(name, PLACE_TRIAL_PX)
        except OSError as error:
            if isinstance(name, Path) and name.is_file():
                raise WeightsCorruptError(
                    f"{FONT} cannot be used: it is damaged.", {"path": str(name)}
                ) from error
            continue
        logger.info("font of glyphs name=%s", " ".join(filter(None, font.getname())))
        return font
    raise WeightsMissingError(
        f"AnyText draws its lines with {FONT}, which is published with its weights and is not "
        "beside them; nor has the system another font that would do, such as Noto Sans CJK."
    )


def check_line(font: FreeTypeFont, number: int, line: str) -> None:
    """Refuse what cannot be drawn.

    Args:
        font: at any size.
        number: of the line, for the message.
        line: what is to be drawn.

    Raises:
        ParamsError: nothing of it would show, or the font has no sign for a character.
    """
    left, top, right, bottom = font.getbbox(line)
    if left >= right or top >= bottom:
        raise ParamsError(f"prompt: line {number} has no visible character.")
    lacking = _ink(font, NO_CHARACTER)
    strange = sorted({c for c in line if not c.isspace() and _ink(font, c) == lacking})
    if strange:
        raise ParamsError(
            f"prompt: line {number} has {' '.join(strange)}, for which the server's font has no "
            "sign."
        )


def draw_strip(font: FreeTypeFont, line: str) -> Glyphs:
    """(80, 512): the line as large as fits, in the middle, without grey."""
    height, width = STRIP
    left, top, right, bottom = font.font_variant(size=STRIP_TRIAL_PX).getbbox(line)
    ratio = min(
        STRIP_SHARE * width / max(right - left, LEAST_EXTENT_PX),
        STRIP_SHARE * height / max(bottom - top, LEAST_EXTENT_PX),
    )
    fitted = font.font_variant(size=int(STRIP_TRIAL_PX * ratio))
    left, top, right, bottom = fitted.getbbox(line)
    strip = Image.new("1", (width, height))
    at = ((width - (right - left)) // 2, (height - bottom) // 2 - top // 2)
    ImageDraw.Draw(strip).text(at, line, fill=1, font=fitted)
    return np.array(strip)


@dataclass(frozen=True, slots=True)
class Frame:
    """The smallest rectangle around a place, at the glyphs' scale. Lengths are pixels."""

    centre: tuple[float, float]
    """x and y."""
    short: float
    long: float
    angle: float
    """Degrees against the clock by which a level line is turned."""
    left: int
    top: int
    width: int
    """Of the level box around the rectangle."""
    is_upright: bool
    """Whether the characters stand one below another."""

    @classmethod
    def of(cls, outline: Outline) -> Self:
        centre, (width, height), turned = rectangle = cv2.minAreaRect(outline * SCALE)
        corners = cv2.boxPoints(rectangle).astype(int)
        left, top = corners.min(axis=0)
        extent_x, extent_y = corners.max(axis=0) - (left, top)
        angle = 90 - turned if width < height else -turned
        rest = abs(angle) % 90
        is_straight = min(rest, 90 - rest) < UPRIGHT_DEGREES
        is_upright = bool(is_straight and extent_y >= extent_x)
        return cls(
            centre=(centre[0], centre[1]),
            short=min(width, height),
            long=max(width, height),
            angle=0 if is_upright else angle,
            left=int(left),
            top=int(top),
            width=int(extent_x),
            is_upright=is_upright,
        )


def draw_in_place(
    font: FreeTypeFont, number: int, line: str, outline: Outline, size: Size
) -> Glyphs:
    """The line in its place, turned as the place is.

    Args:
        font: at any size.
        number: of the line, for the message.
        line: what to draw.
        outline: of its place.
        size: of the picture.

    Returns:
        (2 H, 2 W), grey turned into dots.

    Raises:
        ParamsError: the place is too small for it.
    """
    frame = Frame.of(outline)
    fitted = font.font_variant(size=_size_of(font, number, line, frame))
    height, width = size[0] * SCALE, size[1] * SCALE
    layer = Image.new("L", (width, height))
    draw = ImageDraw.Draw(layer)
    left, top, right, bottom = fitted.getbbox(line)
    if frame.is_upright:
        x = frame.left + frame.width // 2 - (bottom - top) // 2
        y: float = frame.top
        for character in line:
            draw.text((x, y), character, fill=255, font=fitted)
            y += fitted.getbbox(character)[3]
    else:
        x, y = frame.centre
        at = (x - (right - left) // 2, y - (bottom - top) // 2 - top)
        draw.text(at, line, fill=255, font=fitted)
    turned = layer.rotate(frame.angle, expand=True, center=frame.centre)
    corner = int((width - turned.width) / 2), int((height - turned.height) / 2)
    picture = Image.new("L", (width, height))
    picture.paste(turned, corner)
    return np.array(picture.convert("1"))


def _size_of(font: FreeTypeFont, number: int, line: str, frame: Frame) -> int:
    """The line's size in its place."""
    right, bottom = font.font_variant(size=PLACE_TRIAL_PX).getbbox(line)[2:]
    length = frame.short * (right / bottom)
    if length <= frame.long:
        size = frame.short * SHORT_LINE_SHARE
    else:
        share = LONG_UPRIGHT_SHARE if frame.is_upright else LONG_LINE_SHARE
        size = frame.short / (length / frame.long) * share
    if size < 1:
        raise ParamsError(
            f"prompt: line {number} does not fit into its part of the mask, which is "
            f"{frame.long / SCALE:.0f}x{frame.short / SCALE:.0f} px; mark more."
        )
    return int(size)


def _ink(font: FreeTypeFont, text: str) -> tuple[tuple[int, int], bytes]:
    """What is drawn for `text`: its size and its pixels."""
    mask = font.getmask(text)
    return mask.size, bytes(mask)
