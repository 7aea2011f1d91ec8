"""Sheets of pictures before and after."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from inpaint import codecs
from inpaint.arrays import Image
from inpaint.codecs import Metadata
from inpaint.errors import InpaintError
from serve_app.cli.exits import CommandError
from serve_app.cli.run_pixels import NO_LIMITS, side_by_side
from serve_app.cli.run_tasks import SUFFIXES

CELL_PX = 360
"""Each picture's longer side."""
GAP_PX, PAIR_GAP_PX, CAPTION_PX = 6, 24, 24
ACROSS = 2
"""Pairs in a row."""
QUALITY = 88


def draw_sheet(before: Path, after: Path, output: Path, limit: int) -> None:
    """Write a sheet of the pairs that both folders have by name, the first `limit` of them.

    Raises:
        CommandError: no pair is there, one is no picture, or the sheet's name is none of a picture.
        OSError: a file cannot be read or written.
    """
    format_ = SUFFIXES.get(output.suffix.lower())
    if format_ is None:
        raise CommandError(f"--output: a sheet is a picture such as sheet.jpg, not {output.name}.")
    pairs = _pairs(before, after)[:limit]
    if not pairs:
        raise CommandError(f"{before} and {after} have no pictures of the same name.")
    cells = [_captioned(first.stem, _read(first), _read(second)) for first, second in pairs]
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % ACROSS if len(cells) > 1 else 0)
    rows = [
        side_by_side(cells[start : start + ACROSS], PAIR_GAP_PX)
        for start in range(0, len(cells), ACROSS)
    ]
    sheet = np.vstack(rows)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(codecs.encode(sheet, None, format_, Metadata(), QUALITY))


def _pairs(before: Path, after: Path) -> list[tuple[Path, Path]]:
    firsts, seconds = _by_name(before), _by_name(after)
    return [(firsts[name], seconds[name]) for name in sorted(firsts.keys() & seconds.keys())]


def _by_name(folder: Path) -> dict[str, Path]:
    """Pictures below a folder, by their path without suffix."""
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    }


def _read(path: Path) -> Image:
    try:
        return codecs.decode(path.read_bytes(), NO_LIMITS).image
    except InpaintError as error:
        raise CommandError(f"{path}: {error.detail}") from None


def _captioned(name: str, first: Image, second: Image) -> Image:
    """Both in cells of one size, beside each other, below their name."""
    row = side_by_side([_cell(first), _cell(second)], GAP_PX)
    framed = cv2.copyMakeBorder(
        row, CAPTION_PX, GAP_PX, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )
    canvas = PillowImage.fromarray(framed)
    font = ImageFont.load_default(13)
    ImageDraw.Draw(canvas).text((2, 5), name, font=font, fill=(40, 40, 40))
    return np.asarray(canvas, np.uint8)


def _cell(image: Image) -> Image:
    """The whole picture in a white square, at its top."""
    height, width = image.shape[:2]
    scale = CELL_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(image, size, interpolation=way)
    left = (CELL_PX - size[0]) // 2
    canvas = np.full((CELL_PX, CELL_PX, 3), 255, np.uint8)
    canvas[: size[1], left : left + size[0]] = small
    return canvas
