"""How well writing is removed from photos: by mask mode, beside two baselines and the true mask.

    pip install --no-deps --target /tmp/second rapidocr-onnxruntime    # the second reader
    python -m benchmarks.text_removal --second-ocr /tmp/second [--server http://127.0.0.1:8000]

Without --server everything runs in this process: the project's reader, masks, plans and cv2. With
it the pictures are sent to POST /remove-text. Ends with a sheet of before/after pictures.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from benchmarks.text_http import remove_text
from benchmarks.text_readers import Read, is_read, project_reader, second_reader
from benchmarks.text_scenes import Line, Scene, cjk_font, scenes
from benchmarks.text_sheet import write_sheet
from deployments.models.opencv import OpenCV
from inpaint.arrays import Image, Mask
from inpaint.boxes import Box, with_margin
from inpaint.flat_fill import fill_flat
from inpaint.masks import dilate, from_polygons, holes
from inpaint.params import EraseParams
from inpaint.plans import StrategyOptions, plan
from inpaint.specs import StrategyTiling
from inpaint.text_masks import MaskMode, text_mask
from inpaint.texts import ReadOptions, TextRegion
from inpaint.tiles import cut, paste

SHEET = Path(__file__).parents[1] / "docs" / "images" / "text-removal.jpg"
ORACLE_GROWTH_PX = 3
MARGIN = 0.0
"""Of the masks, beside their least growth of 1 px: on seeds 1 and 2, which no number was chosen
on, strokes go 57 % of the way from the boxes to the true glyphs with it, and 45 % with 0.03."""
VERIFY_GROWTH = 2.0
VERIFY_LEAST = 0.1
"""Twice no margin is this."""


@dataclass(frozen=True)
class Outcome:
    """What a way of removing text made of one scene."""

    image: Image
    mask: Mask
    ms: float
    """Reading, masking, erasing, checking."""


Way = Callable[[Scene], Outcome]


class Finder:
    """Reads each scene once: every way begins with the same lines, and the same milliseconds."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self._found: dict[str, tuple[list[TextRegion], float]] = {}

    def __call__(self, scene: Scene) -> tuple[list[TextRegion], float]:
        """The scene's lines, and what it took to read them."""
        if scene.name not in self._found:
            start = time.perf_counter()
            lines = list(self.read(scene.image))
            self._found[scene.name] = lines, (time.perf_counter() - start) * 1000
        return self._found[scene.name]


@dataclass
class Score:
    """Sums over all scenes."""

    lines: int = 0
    read: list[int] = field(default_factory=list)
    """Lines still read, by each reader."""
    psnr: list[float] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)
    area: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)


def erase(image: Image, mask: Mask, lines: Sequence[TextRegion]) -> Image:
    """cv2 on one tile for each line; tiles that overlap are merged."""
    erased = image.copy()
    size = (image.shape[0], image.shape[1])
    whole_lines = mask | from_polygons([line.polygon for line in lines], size)
    for tile in plan(size, holes(whole_lines), StrategyTiling(), StrategyOptions()).tiles:
        piece = cut(image, mask, tile)
        painted = OpenCV().forward(piece.pixels[None], piece.holes[None], EraseParams())
        paste(erased, mask, piece, painted[0])
    return erased


def removal(find: Finder, mode: MaskMode, margin: float, verify: bool) -> Way:
    """The whole pipeline in this process."""

    def remove(scene: Scene) -> Outcome:
        lines, read_ms = find(scene)
        start = time.perf_counter()
        mask = text_mask(scene.image, lines, mode, margin)
        image = filled_and_erased(scene.image, mask, lines)
        remaining = words_left(find.read, image, lines, mask) if verify else []
        if remaining:
            grown = max(VERIFY_GROWTH * margin, VERIFY_LEAST)
            mask = mask | text_mask(scene.image, remaining, MaskMode.POLYGON, grown)
            image = filled_and_erased(scene.image, mask, [*lines, *remaining])
        return Outcome(image, mask, read_ms + (time.perf_counter() - start) * 1000)

    return remove


def filled_and_erased(image: Image, mask: Mask, lines: Sequence[TextRegion]) -> Image:
    """A new picture: flat grounds filled, the rest by cv2."""
    filled = image.copy()
    rest, left = fill_flat(filled, mask, lines)
    return erase(filled, rest, left)


def words_left(
    read: Read, image: Image, lines: Sequence[TextRegion], mask: Mask
) -> list[TextRegion]:
    """Read the changed parts again; what is found on repainted pixels."""
    size = (mask.shape[0], mask.shape[1])
    covered = from_polygons([line.polygon for line in lines], size) | mask
    found = []
    for hole in holes(dilate(covered, 8)):
        part = with_margin(hole, 32, size)
        found += [_moved(region, part) for region in read(image[part.window])]
    return [region for region in found if _is_word(region) and _share(region, covered) > 0.5]


def _is_word(region: TextRegion) -> bool:
    """Readers see single letters in smears: of nine finds five were that, all one letter long."""
    return region.score >= 0.5 and sum(letter.isalnum() for letter in region.text) >= 2


def _moved(region: TextRegion, part: Box) -> TextRegion:
    corner = np.array([part.left, part.top], np.float32)
    return TextRegion(region.polygon + corner, region.text, region.score, region.detection_score)


def _share(region: TextRegion, covered: Mask) -> float:
    own = from_polygons([region.polygon], (covered.shape[0], covered.shape[1]))
    return cv2.countNonZero(own & covered) / max(1, cv2.countNonZero(own))


def flat_boxes(find: Finder) -> Way:
    """Baseline: each box painted over in the median colour of its border."""

    def remove(scene: Scene) -> Outcome:
        lines, read_ms = find(scene)
        start = time.perf_counter()
        image = scene.image.copy()
        for line in lines:
            box = text_mask(image, [line], MaskMode.BOX, 0)
            border = (dilate(box, 2) > 0) & (box == 0)
            image[box > 0] = np.median(scene.image[border], axis=0)
        mask = text_mask(image, lines, MaskMode.BOX, 0)
        return Outcome(image, mask, read_ms + (time.perf_counter() - start) * 1000)

    return remove


def boxes_and_cv2(find: Finder) -> Way:
    """Baseline: upright boxes, repainted."""

    def remove(scene: Scene) -> Outcome:
        lines, read_ms = find(scene)
        start = time.perf_counter()
        mask = text_mask(scene.image, lines, MaskMode.BOX, 0)
        image = erase(scene.image, mask, lines)
        return Outcome(image, mask, read_ms + (time.perf_counter() - start) * 1000)

    return remove


def oracle(scene: Scene) -> Outcome:
    """The best that cv2 can do: the true glyphs, a little grown."""
    start = time.perf_counter()
    mask = dilate(scene.glyphs, ORACLE_GROWTH_PX)
    lines = [TextRegion(line.quad, line.text, 1.0, 1.0) for line in scene.lines]
    image = erase(scene.image, mask, lines)
    return Outcome(image, mask, (time.perf_counter() - start) * 1000)


def add(score: Score, scene: Scene, outcome: Outcome, readers: Sequence[Read]) -> None:
    """Measure one outcome."""
    kept = outcome.mask == 0
    if not np.array_equal(outcome.image[kept], scene.image[kept]):
        raise AssertionError(f"{scene.name}: pixels outside the mask changed")
    found = [read(outcome.image) for read in readers]
    score.read = score.read or [0] * len(readers)
    boxes = np.zeros(kept.shape, bool)
    for line in scene.lines:
        left, top, width, height = cv2.boundingRect(line.glyphs)
        boxes[top : top + height, left : left + width] = True
        by = [is_read(line, regions) for regions in found]
        score.read = [
            total + one for total, one in zip(score.read, [*by, False, False][:2], strict=True)
        ]
        covered = 1 - float(kept[line.glyphs > 0].mean())
        if any(by) or covered < 0.8:
            score.failures.append(_failure(scene, line, by, covered))
    error = scene.clean[boxes].astype(np.float64) - outcome.image[boxes]
    score.lines += len(scene.lines)
    score.psnr.append(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-9)))
    score.coverage.append(100 * (1 - float(kept[scene.glyphs > 0].mean())))
    score.area.append(100 * (1 - float(kept.mean())))
    score.ms.append(outcome.ms)


def _failure(scene: Scene, line: Line, by: Sequence[bool], covered: float) -> str:
    readers = [name for name, still in zip(("ours", "second"), by, strict=False) if still]
    how = f"{line.size_px} px, {line.angle} degrees, opacity {line.opacity}"
    still = f"still read by {' and '.join(readers)}" if readers else "not read"
    return f"{scene.name}: {line.text!r} ({how}): {still}, {100 * covered:.0f} % covered"


def row(name: str, score: Score) -> str:
    """One line of the table."""
    second = f"{score.read[1]}/{score.lines}" if len(score.read) > 1 else "-"
    return (
        f"| {name} | {score.read[0]}/{score.lines} | {second} "
        f"| {statistics.mean(score.psnr):.2f} | {statistics.mean(score.coverage):.1f} "
        f"| {statistics.mean(score.area):.1f} | {statistics.median(score.ms):.0f} |"
    )


def measure(
    ways: dict[str, Way], pictures: Sequence[Scene], readers: Sequence[Read]
) -> dict[str, Score]:
    """Print the table; give back the scores."""
    print("| way | read by ours | by second | PSNR dB | glyphs covered % | masked % | ms |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    scores = {}
    for name, way in ways.items():
        scores[name] = Score()
        for scene in pictures:
            outcome = way(scene)
            add(scores[name], scene, outcome, readers)
            scores[name].images.append(outcome.image)
        print(row(name, scores[name]), flush=True)
    return scores


def nothing(scene: Scene) -> Outcome:
    """The picture as it is."""
    return Outcome(scene.image, np.zeros(scene.image.shape[:2], np.uint8), 0.0)


def over_http(url: str, mode: MaskMode, margin: float, model: str) -> Way:
    """The service."""

    def remove(scene: Scene) -> Outcome:
        return Outcome(*remove_text(url, scene.image, mode, margin, model))

    return remove


def chosen_ways(options: argparse.Namespace, find: Finder) -> tuple[dict[str, Way], list[str]]:
    """Every row of the table, and which of them are the project's own."""
    ways: dict[str, Way] = {"nothing": nothing}
    if not options.only_ours:
        ways |= {
            "boxes filled flat": flat_boxes(find),
            "boxes + cv2": boxes_and_cv2(find),
            f"true glyphs + {ORACLE_GROWTH_PX} px + cv2": oracle,
        }
    ours: dict[str, Way] = {}
    for mode, margin in itertools.product(options.modes, options.margins):
        name = f"{mode} + {margin:g}"
        if options.server:
            for model in options.models:
                ours[f"{name}, {model}"] = over_http(options.server, mode, margin, model)
        else:
            ours[f"{name}, cv2"] = removal(find, mode, margin, not options.no_verify)
    return ways | ours, list(ours)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--server", help="address of a running service")
    parser.add_argument("--models", nargs="+", default=["cv2"], help="with --server")
    parser.add_argument("--second-ocr", type=Path, help="folder of rapidocr-onnxruntime")
    parser.add_argument("--modes", nargs="+", type=MaskMode, default=list(MaskMode))
    parser.add_argument("--margins", nargs="+", type=float, default=[MARGIN], help="line heights")
    parser.add_argument("--only-ours", action="store_true", help="without the baselines")
    parser.add_argument("--no-verify", action="store_true", help="without reading again")
    parser.add_argument("--scenes", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help=f"JPEG to write, such as {SHEET}")
    options = parser.parse_args()
    if cjk_font() is None:
        print("No CJK font is installed: Chinese is left out (Debian: fonts-noto-cjk).")
    read, second = project_reader(ReadOptions()), second_reader(options.second_ocr)
    pictures = list(scenes(options.seed, photos=options.scenes))
    print(f"{sum(len(scene.lines) for scene in pictures)} lines on {len(pictures)} photos")
    ways, ours = chosen_ways(options, Finder(read))
    scores = measure(ways, pictures, [read] if second is None else [read, second])
    for name in ours:
        print(f"\n{name}:", *scores[name].failures or ["no failures"], sep="\n  ")
    if options.sheet:
        befores = [scene.image for scene in pictures]
        write_sheet(options.sheet, list(zip(befores, scores[ours[-1]].images, strict=True)))


if __name__ == "__main__":
    main()
