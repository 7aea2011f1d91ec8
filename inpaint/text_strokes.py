"""The letters of a line, told from what is behind them by their colours.

cut out, shrink ─► colours frequent in the line and rare around it ─► core of the letters
   ─► pieces of the line without plausible letters become the polygon
   ─► edges, outlines and shadows: what differs from the ground right beside the core

The numbers were chosen with benchmarks/text_removal.py: 79 lines on 14 photos, erased by cv2.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Image, Mask
from inpaint.boxes import Box
from inpaint.masks import dilate
from inpaint.polygons import around, grown
from inpaint.texts import Polygon, TextRegion

Levels = NDArray[np.float32]
Weights = NDArray[np.float64]
Area = NDArray[np.bool_]

WORK_HEIGHT_PX = 96
"""Taller lines are looked at at this height: letters that large lose nothing, and time does not
grow with the picture."""

REACH = 0.25
"""How far outside the detector's polygon letters are looked for, in line heights: descenders,
outlines and shadows stick out of it."""

RING = 0.6
"""Width of the band around that whose colours are the ground's, in line heights. 0.3 loses 0.1 dB
and 1.0 loses 0.2 dB."""

AREA_LEAST, AREA_MOST, OF_MEDIAN = 0.05, 0.75, 0.4
"""Share of a piece that letters cover, and share of the line's median piece: what lies outside is
no lettering. A least of 0.08 covers 2 % more of the glyphs, for 0.3 dB."""

PIECE = 1.0
"""Length of a piece, in line heights: about two letters."""

PRIOR = 0.3
"""Share of a line that its letters cover. 0.4 loses 0.1 dB."""

PRIOR_LEAST = 0.2
"""Of the prior, where a pixel does not differ from the median around it."""

COLOUR_ROUNDS = 3
"""1 and 6 rounds give the same within 0.05 dB."""

HALO = 0.12
"""Outlines and shadows are looked for this far from the core, in line heights. 0.2 covers 1 %
more and loses 0.1 dB."""

HALO_NOISE = 3.0
"""What counts as halo differs from the ground by this many times the ground's own deviation."""
HALO_CONTRAST_LEAST, HALO_CONTRAST_MOST = 0.05, 0.5
"""And by a share of the core's contrast between these."""
HALO_LEVELS_LEAST = 4.0
"""And by more grey levels than a JPEG's noise."""

_LEVELS = 16
"""Steps of each channel in the colour counts."""
_GROUND_HEIGHT_PX = 24
"""Grounds are smooth: they are estimated at this line height."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line in its window, as it is looked at."""

    pixels: Image
    polygon: Polygon
    height: float
    inner: Area
    """The polygon."""
    outer: Area
    """Where letters are looked for."""
    ring: Area
    """Where there is only ground."""


def strokes(image: Image, region: TextRegion, growth_px: int) -> tuple[Box, Mask] | None:
    """The letters of one line, with their outlines and shadows.

    Pieces of the line where no letters can be told from the ground are covered by the polygon.

    Args:
        image: (H, W, 3) uint8 RGB, only read.
        region: the line, as the detector found it.
        growth_px: what the letters, or the polygon, are grown by.

    Returns:
        A window of the picture and the mask of it; None where the polygon serves better.
    """
    if len(region.polygon) < 3 or region.height_px < 2:
        return None
    height = region.height_px
    margin = (REACH + RING) * height + growth_px + 6
    window = around(region.polygon, margin, (image.shape[0], image.shape[1]))
    corner = np.array([window.left, window.top], np.float32)
    line = _line(image[window.window], region.polygon - corner, height)
    if line is None:
        return None
    core = _core(line)
    place, failed = _failed_pieces(line, core)
    if failed.all():
        return None
    letters = _with_halo(line, core)
    letters[failed[place] & line.inner] = 255
    size = (window.right - window.left, window.bottom - window.top)
    letters = np.asarray(cv2.resize(letters, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    reach = grown(region.polygon, REACH * height + 2 + growth_px, window)
    letters = np.asarray((letters > 64) * np.uint8(255), np.uint8)
    return window, np.minimum(dilate(letters, growth_px), reach)


def _line(pixels: Image, polygon: Polygon, height: float) -> _Line | None:
    """The line at working size; None where nothing of it or of its surroundings is visible."""
    if not pixels.size:
        return None
    scale = min(1.0, WORK_HEIGHT_PX / height)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        polygon, height = polygon * np.float32(scale), height * scale
    whole, reach = Box.of_image((pixels.shape[0], pixels.shape[1])), REACH * height + 2
    widths = (0.0, reach, reach + RING * height + 2)
    inner, outer, wide = (grown(polygon, width, whole) > 0 for width in widths)
    ring = wide & ~outer
    if not inner.any() or not ring.any():
        return None
    return _Line(pixels, polygon, height, inner, outer, ring)


def _core(line: _Line) -> Area:
    """Pixels whose colour is a letter's rather than the ground's.

    Both are histograms, so that fill and outline may be two colours and the ground any number:
    the ground's starts as the ring's, the letters' as what the line has and the ring has not, and
    each round weighs the line's pixels by what the one before made of them.
    """
    change = _local_change(line)
    usual = max(float(np.percentile(change[line.inner], 90)), 8.0)
    prior = PRIOR * np.clip(change / (0.6 * usual), PRIOR_LEAST, 1).astype(np.float64)
    colours = _colours(line.pixels)
    inside, around_it = colours[line.inner], colours[line.ring]
    surplus = 1 - (1 - PRIOR) * (_density(around_it) / _density(inside))[inside]
    weight = np.clip(surplus, 0, 1) * prior[line.inner] / PRIOR
    both = np.concatenate([around_it, inside])
    likely = prior
    for _ in range(COLOUR_ROUNDS):
        ground_weight = np.concatenate([np.full(len(around_it), 0.5), 1 - weight])
        ratio = _density(inside, weight) / _density(both, ground_weight)
        odds = ratio[colours] * prior / (1 - prior)
        sigma = max(0.4, 0.025 * line.height)
        likely = np.asarray(cv2.GaussianBlur(odds / (1 + odds), (0, 0), sigma), np.float64)
        weight = likely[line.inner]
    return _touching(likely > 0.5, line)


def _touching(found: Area, line: _Line) -> Area:
    """The spots of `found` that reach into the polygon, cut where letters are not looked for."""
    spots = np.asarray(found & line.outer, np.uint8)
    _, labels = cv2.connectedComponents(spots, connectivity=8)
    is_touching = np.zeros(int(labels.max()) + 1, bool)
    is_touching[np.unique(labels[line.inner])] = True
    is_touching[0] = False
    return np.asarray(is_touching[labels], bool)


def _colours(pixels: Image) -> NDArray[np.int32]:
    """(H, W) the number of each pixel's colour in the counts."""
    red, green, blue = (pixels[..., n].astype(np.int32) * _LEVELS // 256 for n in range(3))
    return (red * _LEVELS + green) * _LEVELS + blue


def _density(colours: NDArray[np.int32], weight: Weights | None = None) -> Weights:
    """How frequent each colour is, smoothed over its neighbours; nowhere quite zero."""
    counts = np.bincount(colours, weight, _LEVELS**3).astype(np.float64)
    counts = counts.reshape(_LEVELS, _LEVELS, _LEVELS)
    for axis in range(3):
        lined = np.moveaxis(counts, axis, 0)
        up, down = np.concatenate([lined[1:], lined[-1:]]), np.concatenate([lined[:1], lined[:-1]])
        counts = np.moveaxis(0.5 * lined + 0.25 * (up + down), 0, axis)
    flat = counts.ravel() + 0.02
    return np.asarray(flat / flat.sum(), np.float64)


def _local_change(line: _Line) -> Levels:
    """(H, W) difference from the median of a line height around, in the strongest channel."""
    small = _shrunk(line.pixels, line.height)
    side = max(3, int(1.2 * min(line.height, _GROUND_HEIGHT_PX)) // 2 * 2 + 1)
    median = _enlarged(cv2.medianBlur(small, side), line.pixels)
    return np.asarray(cv2.absdiff(line.pixels, median).max(axis=2), np.float32)


def _failed_pieces(line: _Line, core: Area) -> tuple[NDArray[np.intp], Area]:
    """(H, W) the number of the piece that each pixel lies in, and which pieces have failed."""
    quad = line.polygon.astype(np.float64)
    along = quad[1] - quad[0]
    length = max(float(np.linalg.norm(along)), 1.0)
    count = max(1, round(length / (PIECE * line.height)))
    rows, columns = np.indices(core.shape, sparse=True)
    way = ((columns - quad[0, 0]) * along[0] + (rows - quad[0, 1]) * along[1]) / length**2
    place = np.clip(np.floor(way * count), 0, count - 1).astype(np.intp)
    whole = np.maximum(np.bincount(place[line.inner], minlength=count), 1)
    share = np.bincount(place[line.inner & core], minlength=count) / whole
    good = (share >= AREA_LEAST) & (share <= AREA_MOST)
    if good.any():
        good &= share >= OF_MEDIAN * np.median(share[good])
    return place, ~good


def _with_halo(line: _Line, core: Area) -> Mask:
    """The core, and what differs beside it: soft edges, faint outlines, shadows."""
    letters = np.asarray(core * np.uint8(255), np.uint8)
    covered = cv2.dilate(letters, _disc(2 + round(0.03 * line.height))) > 0
    ground = _ground(line, covered)
    change = np.abs(line.pixels - ground).max(axis=2)
    near = (cv2.dilate(letters, _disc(2 + round(HALO * line.height))) > 0) & line.outer
    beside = cv2.dilate(letters, _disc(2 + round((HALO + 0.25) * line.height))) > 0
    contrast = float(np.median(change[core])) if core.any() else 0.0
    noise = float(np.percentile(change[beside & ~near], 75)) if (beside & ~near).any() else 0.0
    least = max(HALO_NOISE * noise, HALO_CONTRAST_LEAST * contrast, HALO_LEVELS_LEAST)
    letters[near & (change > min(least, HALO_CONTRAST_MOST * contrast))] = 255
    return letters


def _ground(line: _Line, covered: Area) -> Levels:
    """(H, W, 3) what lies behind `covered`: the mean of what is seen near it, from narrow to wide.

    Means of six widths are added, each weighing a thousandth of the next narrower one, so that a
    wider one counts only where the narrower sees nothing.
    """
    seen = np.asarray(~covered, np.float32)
    known = _shrunk(line.pixels * seen[..., None], line.height)
    weight = _shrunk(seen, line.height)
    total, mass = np.zeros_like(known), np.zeros_like(weight)
    for step in range(6):
        total += 1e-3**step * cv2.GaussianBlur(known, (0, 0), 2.0**step)
        mass += 1e-3**step * cv2.GaussianBlur(weight, (0, 0), 2.0**step)
    ground = total / np.maximum(mass, 1e-20)[..., None]
    return np.asarray(_enlarged(ground, line.pixels), np.float32)


def _shrunk(array: NDArray, height: float) -> NDArray:  # type: ignore[type-arg]
    scale = min(1.0, _GROUND_HEIGHT_PX / height)
    size = [max(1, round(side * scale)) for side in (array.shape[1], array.shape[0])]
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA)


def _enlarged(array: NDArray, like: Image) -> NDArray:  # type: ignore[type-arg]
    return cv2.resize(array, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_LINEAR)


def _disc(radius_px: int) -> Mask:
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
