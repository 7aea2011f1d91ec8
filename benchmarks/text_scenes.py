"""Photos with writing rendered on them, each with its clean original and the exact glyph mask.

The photos are those inside the wheels of scikit-image and scikit-learn, read from their folders,
so nothing is ever downloaded. The fonts are OpenCV's and Pillow's own; Chinese is written where a
CJK font is installed (Debian: fonts-noto-cjk), and `cjk_font()` tells whether.
"""

import importlib.util
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFilter, ImageFont

from inpaint.arrays import Image, Mask

PHOTOS = (
    ("skimage", "data/astronaut.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/chelsea.png"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/retina.jpg"),
    ("skimage", "data/ihc.png"),
    ("skimage", "data/coins.png"),
    ("skimage", "data/moon.png"),
    ("skimage", "data/gravel.png"),
)
LONGER_SIDES_PX = (900, 1000, 1100, 1200)
CJK_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc", "wqy-microhei.ttc")
LATIN_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansCondensed-Oblique.ttf")
PILLOW_FONT = "Pillow's default"

PHRASES = (
    "Fresh bread daily",
    "Photo by A. Person",
    "www.example.com",
    "Do not copy",
    "Invoice No. 20481",
    "Chapter Seven",
    "Limited offer 50% off",
    "Rear entrance",
    "Handle with care",
    "(c) 2026 Example Studio",
    "Total: $1,284.50",
    "Opening hours 9 to 17",
    "Winter in the north",
    "Please keep quiet",
    "Jumping foxes, lazy dogs",
    "Platform 3, coach 12",
)
SHORT = ("SAMPLE", "Exit 24B", "ROOM 214", "Gypsy", "SALE", "Paris", "Quay 7", "DRAFT")
CHINESE = (
    "图像修复服务",
    "禁止转载",
    "北京市海淀区",
    "特价商品九折",
    "小心地滑",
    "欢迎光临",
    "版权所有",
)

SIZES_PX = (
    24,
    14,
    48,
    18,
    36,
    72,
    16,
    30,
    60,
    20,
    40,
    12,
    26,
    100,
    33,
    22,
    54,
    10,
    28,
    150,
    45,
    200,
)
"""Letter sizes in turn: mostly 14 to 72 px."""
ANGLES = (0, 0, 8, 0, -12, 0, 0, 20, 0, 90, 0, -5, 0, -20, 0, 0, 3, -90, 0)
OPACITIES = (1.0, 1.0, 0.8, 1.0, 0.6, 1.0, 1.0, 0.5, 1.0, 0.7, 1.0, 1.0, 0.4)
CHINESE_EVERY = 7
PLACES_TRIED = 400
CONTRAST_LEAST = 40
"""Mean change of the strongest channel under the letters, in grey levels: nobody writes black on
black, and what nobody sees no reader finds."""
SHORT_FROM_PX = 80
"""Above this size a whole phrase would not fit the picture."""


@dataclass(frozen=True)
class Style:
    """How letters are painted. Lengths are shares of the letter size."""

    fill: tuple[int, int, int]
    outline: tuple[int, int, int] | None = None
    outline_width: float = 0.06
    shadow: tuple[int, int, int] | None = None
    shadow_offset: float = 0.07
    shadow_blur: float = 0.0


STYLES = (
    Style((255, 255, 255), outline=(0, 0, 0)),
    Style((255, 230, 40)),
    Style((15, 15, 20)),
    Style((255, 255, 255), shadow=(0, 0, 0)),
    Style((255, 255, 255)),
    Style((220, 20, 30), outline=(255, 255, 255)),
    Style((30, 60, 200)),
    Style((255, 210, 0), shadow=(20, 20, 20), shadow_blur=0.04),
    Style((40, 220, 120), outline=(10, 40, 20), outline_width=0.04),
    Style((200, 30, 160)),
    Style((10, 10, 10), outline=(255, 255, 255), outline_width=0.08),
)


@dataclass(frozen=True)
class Line:
    """One line as it was rendered."""

    text: str
    quad: NDArray[np.float32]
    """(4, 2) corners of the letters' box, x then y, clockwise from the text's top left."""
    size_px: int
    style: Style
    angle: float
    opacity: float
    glyphs: Mask = field(repr=False)
    """(H, W), 255 where rendering this line changed a pixel: outline and shadow included."""


@dataclass(frozen=True)
class Scene:
    """A picture with writing and what is true about it."""

    name: str
    image: Image
    clean: Image
    lines: tuple[Line, ...]

    @property
    def glyphs(self) -> Mask:
        """(H, W), 255 where any line changed a pixel."""
        return np.asarray(np.maximum.reduce([line.glyphs for line in self.lines]), np.uint8)


def cjk_font() -> Path | None:
    """A font with Chinese letters; None when this machine has none."""
    folders = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
    found = (path for name in CJK_FONTS for folder in folders for path in folder.rglob(name))
    return next(found, None)


def scenes(seed: int = 0, lines_each: int = 6, photos: int = len(PHOTOS)) -> Iterator[Scene]:
    """The first `photos` scenes, one after the other; the same ones for the same arguments."""
    chosen = random.Random(seed)  # noqa: S311 - not a secret
    number = 0
    for index, (package, path) in enumerate(PHOTOS[:photos]):
        side = LONGER_SIDES_PX[index % len(LONGER_SIDES_PX)]
        clean = _photo(package, path, side)
        canvas, lines = clean.copy(), []
        taken = np.zeros(clean.shape[:2], bool)
        for _ in range(lines_each):
            layer, text, facts = _letters(number, chosen)
            number += 1
            placed = _place(canvas, taken, layer, chosen)
            if placed is None:
                continue
            canvas, glyphs, (left, top) = placed
            quad = np.asarray(facts.quad + np.array([left, top]), np.float32)
            lines.append(
                Line(text, quad, facts.size_px, facts.style, facts.angle, facts.opacity, glyphs)
            )
        yield Scene(Path(path).stem, canvas, clean, tuple(lines))


def _photo(package: str, path: str, side_px: int) -> Image:
    spec = importlib.util.find_spec(package)
    assert spec is not None  # noqa: S101 - an installed package
    assert spec.origin is not None  # noqa: S101
    pixels = cv2.imread(str(Path(spec.origin).parent / path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(f"{package} does not ship {path}.")
    scale = side_px / max(pixels.shape[:2])
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how)
    return np.asarray(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB), np.uint8)


@dataclass(frozen=True)
class _Facts:
    quad: NDArray[np.float64]
    size_px: int
    style: Style
    angle: float
    opacity: float


def _letters(number: int, chosen: random.Random) -> tuple[Pictures.Image, str, _Facts]:
    """Line `number` on a transparent layer just large enough, turned by its angle."""
    size = SIZES_PX[number % len(SIZES_PX)]
    style, angle = STYLES[number % len(STYLES)], ANGLES[number % len(ANGLES)]
    opacity = OPACITIES[number % len(OPACITIES)]
    if size < 16:  # the smallest letters upright and opaque: turned, nobody reads them
        angle, opacity = (angle if abs(angle) == 90 else 0), max(opacity, 0.8)
    text, font = _text_and_font(number, size, chosen)
    left, top, right, bottom = font.getbbox(text)
    pad = 4 + round(size * 0.25)
    flat = Pictures.new("RGBA", (int(right - left) + 2 * pad, int(bottom - top) + 2 * pad))
    _draw(flat, (pad - left, pad - top), text, font, size, style)
    if opacity < 1:
        flat.putalpha(flat.getchannel("A").point(lambda value: round(value * opacity)))
    turned = flat.rotate(angle, resample=Pictures.Resampling.BICUBIC, expand=True)
    corners = np.array(
        [
            [pad, pad],
            [flat.width - pad, pad],
            [flat.width - pad, flat.height - pad],
            [pad, flat.height - pad],
        ],
        float,
    )
    radians = np.deg2rad(angle)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    middle, new_middle = np.array(flat.size) / 2, np.array(turned.size) / 2
    quad = (corners - middle) @ turn.T + new_middle
    return turned, text, _Facts(quad, size, style, angle, opacity)


def _text_and_font(
    number: int, size: int, chosen: random.Random
) -> tuple[str, ImageFont.FreeTypeFont]:
    chinese = cjk_font()
    is_chinese = number % CHINESE_EVERY == 3 and chinese is not None and size >= 14
    text = chosen.choice(SHORT if size > SHORT_FROM_PX else PHRASES)
    if is_chinese and chinese is not None:
        text = chosen.choice(CHINESE)[: 2 if size > SHORT_FROM_PX else None]
        return text, ImageFont.truetype(str(chinese), size)
    names = (*LATIN_FONTS, PILLOW_FONT)
    path = Path(cv2.__file__).parent / "qt" / "fonts" / names[number % len(names)]
    if path.exists():
        return text, ImageFont.truetype(str(path), size)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - Pillow is built with FreeType
    return text, font


def _draw(
    layer: Pictures.Image,
    at: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    size: int,
    style: Style,
) -> None:
    if style.shadow is not None:
        offset = max(1, round(size * style.shadow_offset))
        shade = Pictures.new("RGBA", layer.size, (*style.shadow, 0))
        spot = (at[0] + offset, at[1] + offset)
        ImageDraw.Draw(shade).text(spot, text, font=font, fill=(*style.shadow, 255))
        if style.shadow_blur:
            shade = shade.filter(ImageFilter.GaussianBlur(max(1, size * style.shadow_blur)))
        layer.alpha_composite(shade)
    top = Pictures.new("RGBA", layer.size)
    width = max(1, round(size * style.outline_width)) if style.outline else 0
    edge = (*(style.outline or style.fill), 255)
    ImageDraw.Draw(top).text(
        at, text, font=font, fill=(*style.fill, 255), stroke_width=width, stroke_fill=edge
    )
    layer.alpha_composite(top)


def _place(
    canvas: Image, taken: NDArray[np.bool_], layer: Pictures.Image, chosen: random.Random
) -> tuple[Image, Mask, tuple[int, int]] | None:
    """Paint `layer` where nothing is written yet and it shows; None where there is no room."""
    height, width = taken.shape
    if layer.width > width or layer.height > height:
        return None
    for _ in range(PLACES_TRIED):
        left, top = chosen.randint(0, width - layer.width), chosen.randint(0, height - layer.height)
        window = (slice(top, top + layer.height), slice(left, left + layer.width))
        if taken[window].any():
            continue
        under = Pictures.fromarray(canvas[window]).convert("RGBA")
        under.alpha_composite(layer)
        painted = canvas.copy()
        painted[window] = np.asarray(under.convert("RGB"), np.uint8)
        change = cv2.absdiff(painted[window], canvas[window]).max(axis=2)
        letters = np.asarray(layer.getchannel("A")) > 90
        if change[letters].mean() >= CONTRAST_LEAST:
            taken[window] = True
            glyphs = np.zeros(taken.shape, np.uint8)
            glyphs[window][change > 0] = 255
            return painted, glyphs, (left, top)
    return None
