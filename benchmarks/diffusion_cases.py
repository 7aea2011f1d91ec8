"""What benchmarks/diffusion_parity.py asks both servers, and where answers may differ."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import pictures
from inpaint.arrays import Image, Mask, Size
from inpaint.params import Sampler

Fields = Mapping[str, str | int | float | bool]
Region = NDArray[np.bool_]

SIZE: Size = (300, 420)
BLUR = 11
"""IOPaint's own default of sd_mask_blur."""
USUAL: Fields = {
    "prompt": "a cat",
    "negative_prompt": "dog",
    "sd_seed": 7,
    "sd_steps": 4,
    "sd_sampler": "UniPC",
    "sd_mask_blur": BLUR,
}


@dataclass(frozen=True)
class Case:
    """One request."""

    name: str
    fields: Fields
    image: Image
    """(H, W, 3) RGB or (H, W, 4) RGBA uint8."""
    mask: Mask
    why: str = ""
    """Why answers differ on purpose, outside of `same`; empty: they must not."""
    same: Callable[[Size], Region] | None = None
    """Given the answer's (height, width): where they must be equal all the same. (H, W) or
    (H, W, channels), or what numpy takes for it; None: everywhere."""
    of_all: bool = True
    """Whether it is asked of every checkpoint; else of the first of each family."""


def cases() -> Iterator[Case]:
    """All of them."""
    image, mask = pictures.photo(SIZE), pictures.one_hole(SIZE, 120)
    yield from _sampler_cases(image, mask)
    yield from _prompt_cases(image, mask)
    yield from _blend_cases(image, mask)
    yield from _box_cases(image, mask)
    yield from _picture_cases(image, mask)


def _sampler_cases(image: Image, mask: Mask) -> Iterator[Case]:
    for sampler in get_args(Sampler):
        yield Case(sampler, {"sd_sampler": sampler}, image, mask)
    for sampler in get_args(Sampler):
        fields = {"sd_sampler": sampler, "sd_steps": 6, "sd_strength": 0.6}
        yield Case(f"{sampler}, strength 0.6", fields, image, mask, of_all=False)


def _prompt_cases(image: Image, mask: Mask) -> Iterator[Case]:
    named: dict[str, Fields] = {
        "negative prompt": {"negative_prompt": "a tall house, blurred"},
        "no prompt at all": {"prompt": "", "negative_prompt": ""},
        "prompt above 77 tokens": {"prompt": "a cat on a mat " * 30},
        "guidance 1": {"sd_guidance_scale": 1},
        "guidance 15": {"sd_guidance_scale": 15},
        "20 steps": {"sd_steps": 20},
        "strength 0.3": {"sd_steps": 10, "sd_strength": 0.3},
        "another seed": {"sd_seed": 99999999},
        "LCM-LoRA": {"sd_lcm_lora": True, "sd_guidance_scale": 1},
        "after LCM-LoRA": {},
    }
    for name, fields in named.items():
        yield Case(name, fields, image, mask)


def _blend_cases(image: Image, mask: Mask) -> Iterator[Case]:
    for blur in (0, 3, 40):
        yield Case(f"blur {blur}", {"sd_mask_blur": blur}, image, mask)
    yield Case("histograms", {"sd_match_histograms": True}, image, mask)
    yield Case("histograms, blur 0", {"sd_match_histograms": True, "sd_mask_blur": 0}, image, mask)
    yield Case("keep_unmasked_area off", {"sd_keep_unmasked_area": False}, image, mask)
    for scale, blur in ((0.5, 0), (0.5, BLUR), (0.7, 0)):
        yield Case(
            f"scale {scale}, blur {blur}",
            {"sd_scale": scale, "sd_mask_blur": blur},
            image,
            mask,
            "unmasked pixels stay; blended at full size",
            lambda size, by=8 + int(2 * blur / scale): _deep(mask, by),  # type: ignore[misc]
        )


def _box_cases(image: Image, mask: Mask) -> Iterator[Case]:
    for name, box in {
        "inside": (120, 60, 180, 160),
        "beyond the top left": (-30, -20, 240, 200),
        "beyond the bottom right": (200, 140, 512, 512),
    }.items():
        yield Case(f"croper {name}", _box("croper", box), image, mask)
    nothing = np.zeros_like(mask)
    height, width = SIZE
    boxes = {
        "beyond the left": (-80, 0, 300, height),
        "beyond the right": (200, 0, 300, height),
        "beyond the top": (0, -80, width, 250),
        "beyond the bottom": (0, 100, width, 280),
        "beyond all sides": (-40, -30, 500, 360),
        "partly outside, at a corner": (-60, -40, 240, 200),
    }
    for name, box in boxes.items():
        fields = {**_box("extender", box), "sd_mask_blur": 0}
        yield Case(f"extender {name}, blur 0", fields, image, nothing)
    box = boxes["beyond the left"]
    yield Case(
        f"extender beyond the left, blur {BLUR}",
        _box("extender", box),
        image,
        nothing,
        "IOPaint blurs twice",
        lambda size: np.tile(np.abs(np.arange(size[1]) - 80) > 4 * BLUR, (size[0], 1)),
    )
    yield Case(
        "extender beyond the left, with a mask",
        {**_box("extender", box), "sd_mask_blur": 0},
        image,
        mask,
        "IOPaint ignores the mask",
        lambda size: cv2.copyMakeBorder(255 - mask, 0, 0, 80, 0, cv2.BORDER_CONSTANT) > 0,
    )
    yield Case(
        "extender inside the picture",
        {**_box("extender", (120, 60, 180, 160)), "sd_mask_blur": 0},
        image,
        mask,
        "IOPaint ignores the mask",
        lambda size: mask == 0,
    )


def _picture_cases(image: Image, mask: Mask) -> Iterator[Case]:
    alpha = np.tile(np.linspace(0, 255, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
    clear = np.dstack([image, alpha])
    yield Case("RGBA", {}, clear, mask)
    yield Case(
        "RGBA with an extender",
        {**_box("extender", (-80, 0, 300, SIZE[0])), "sd_mask_blur": 0},
        clear,
        np.zeros_like(mask),
        "IOPaint stretches alpha",
        lambda size: np.array([[[True, True, True, False]]]),
    )
    yield Case("empty mask", {}, image, np.zeros_like(mask))
    for size in ((37, 61), (301, 523), (640, 520)):
        picture = pictures.photo(size)
        hole = pictures.one_hole(size, min(size) // 2)
        yield Case(f"{size[1]}x{size[0]} px", {}, picture, hole, of_all=False)


def _box(tool: str, box: tuple[int, int, int, int]) -> Fields:
    names = (f"{tool}_{what}" for what in ("x", "y", "width", "height"))
    return {f"use_{tool}": True, **dict(zip(names, box, strict=True))}


def _deep(mask: Mask, by_px: int) -> Region:
    """The holes without their rims."""
    side = 2 * by_px + 1
    return np.asarray(cv2.erode(mask, np.ones((side, side), np.uint8)) > 0)
