"""The letters of a line, told from what is behind them by their colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Image, Mask
from inpaint.boxes import Box
from inpaint.polygons import around, grown
from inpaint.texts import TextRegion

Levels = NDArray[np.float32]

REACH = 0.25
RING = 0.6
AREA_LEAST, AREA_MOST = 0.05, 0.75
BINS = 16
ROUNDS = 3
PRIOR = 0.3
HALO = 0.12
P_SCALE, P_FLOOR, P_POWER = 0.6, 0.2, 1.0


def strokes(image: Image, region: TextRegion, growth_px: int) -> tuple[Box, Mask] | None:
    """The letters' mask in a window, grown by `growth_px`; None where it makes no sense."""
    height = region.height_px
    reach = REACH * height + 2
    window = around(region.polygon, reach + RING * height + 3, image.shape[:2])
    inner, outer, wide = (
        grown(region.polygon, growth, window) > 0
        for growth in (0, reach, reach + RING * height + 2)
    )
    ring = wide & ~outer
    if not inner.any() or not ring.any():
        return None
    pixels = image[window.window]
    core = _core(pixels, inner, outer, ring, height)
    failed = _failed_pieces(core, inner, region, window)
    if failed.all():
        return None
    letters = _with_halo(pixels, core, outer, height)
    letters = cv2.dilate(letters, _disc(growth_px)) & (outer * np.uint8(255))
    if failed.any():
        polygon = grown(region.polygon, growth_px, window)
        place, _ = _pieces(region, window)
        letters = np.where(failed[place] & (polygon > 0), np.uint8(255), letters)
    return window, np.asarray(letters, np.uint8)


PIECE = 1.0
OF_MEDIAN = 0.4


def _pieces(region, window):
    """Which piece of the line each pixel of the window lies in, and how many there are."""
    quad = region.polygon.astype(np.float64)
    along = quad[1] - quad[0]
    length = float(np.linalg.norm(along))
    count = max(1, round(length / (PIECE * region.height_px)))
    rows, columns = np.ogrid[window.top : window.bottom, window.left : window.right]
    share = ((columns - quad[0, 0]) * along[0] + (rows - quad[0, 1]) * along[1]) / length**2
    return np.clip((share * count).astype(int), 0, count - 1), count


def _failed_pieces(core, inner, region, window):
    place, count = _pieces(region, window)
    whole = np.bincount(place[inner], minlength=count)
    share = np.bincount(place[inner & core], minlength=count) / np.maximum(whole, 1)
    good = (share >= AREA_LEAST) & (share <= AREA_MOST)
    if good.any():
        good &= share >= OF_MEDIAN * np.median(share[good])
    return ~good


def _core(pixels, inner, outer, ring, height):
    change = _local_change(pixels, height)
    scale = max(float(np.percentile(change[inner], 90)), 8.0)
    prior = np.clip(change / (P_SCALE * scale), P_FLOOR, 1) ** P_POWER * PRIOR
    bins = _bins(pixels)
    at_inner, at_ring = bins[inner], bins[ring]
    ring_density = _density(at_ring, None)
    weight = np.clip(
        1 - (1 - PRIOR) * ring_density[at_inner] / _density(at_inner, None)[at_inner], 0, 1
    )
    weight *= prior[inner] / PRIOR
    for _ in range(ROUNDS):
        text = _density(at_inner, weight)
        behind = _density(
            np.concatenate([at_ring, at_inner]),
            np.concatenate([np.ones(len(at_ring)) * 0.5, 1 - weight]),
        )
        odds = text / behind
        p = odds[bins] * prior / (odds[bins] * prior + 1 - prior)
        p = cv2.GaussianBlur(p.astype(np.float32), (0, 0), max(0.4, 0.025 * height))
        weight = p[inner]
    found = ((p > 0.5) & outer).astype(np.uint8)
    _, labels = cv2.connectedComponents(found, connectivity=8)
    touched = np.zeros(labels.max() + 1, bool)
    touched[np.unique(labels[inner])] = True
    touched[0] = False
    return touched[labels]


def _bins(pixels):
    q = (pixels >> 4).astype(np.int32)
    return (q[..., 0] * BINS + q[..., 1]) * BINS + q[..., 2]


def _density(bins, weight):
    counts = np.bincount(bins.ravel(), weight, BINS**3).reshape(BINS, BINS, BINS)
    for axis in range(3):
        padded = np.moveaxis(counts, axis, 0)
        up = np.concatenate([padded[1:], padded[-1:]])
        down = np.concatenate([padded[:1], padded[:-1]])
        counts = np.moveaxis(0.5 * padded + 0.25 * (up + down), 0, axis)
    counts = counts.ravel() + 0.02
    return counts / counts.sum()


def _local_change(pixels, height):
    scale = min(1.0, 24 / height)
    size = [max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    middle = cv2.medianBlur(small, int(1.2 * height * scale) // 2 * 2 + 1)
    middle = cv2.resize(middle, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_LINEAR)
    return cv2.absdiff(pixels, middle).max(axis=2).astype(np.float32)


def _with_halo(pixels, core, outer, height, ring=None):
    letters = core.astype(np.uint8) * 255
    covered = cv2.dilate(letters, _disc(2 + round(H_COVER * height)))
    background = _background(pixels.astype(np.float32), covered, height)
    change = np.abs(pixels - background).max(axis=2)
    near = (cv2.dilate(letters, _disc(2 + round(HALO * height))) > 0) & outer
    contrast = float(np.median(change[core]))
    around_it = (cv2.dilate(letters, _disc(2 + round((HALO + 0.25) * height))) > 0) & ~near
    noise = float(np.percentile(change[around_it], 75)) if around_it.any() else 0
    faint = min(max(H_NOISE * noise, H_CONTRAST * contrast, 4), 0.5 * contrast)
    return np.maximum(letters, ((change > faint) & near).astype(np.uint8) * 255)


H_COVER, H_NOISE, H_CONTRAST = 0.03, 3.0, 0.12


def _background(pixels: Levels, covered: Mask, height: float) -> Levels:
    """What lies behind `covered`, from the pixels around it: smooth, of the window's size."""
    scale = min(1.0, 24 / height)
    size = [max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
    seen = (covered == 0).astype(np.float32)
    known = cv2.resize(pixels * seen[..., None], size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    total, mass = np.zeros_like(known), np.zeros_like(weight)
    for sigma in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
        share = 1e-3 ** np.log2(sigma)
        total += share * cv2.GaussianBlur(known, (0, 0), sigma)
        mass += share * cv2.GaussianBlur(weight, (0, 0), sigma)
    filled = total / np.maximum(mass, 1e-20)[..., None]
    return cv2.resize(filled, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_LINEAR)


def _disc(radius_px: int) -> Mask:
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
