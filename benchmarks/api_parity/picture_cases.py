"""Calls of POST /api/v1/inpaint whose answer is a picture."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from benchmarks import pictures
from benchmarks.api_parity.calls import Call, Case, inpaint
from benchmarks.api_parity.files import SAMPLES, SIZE, Sample, hole, mask_files, photo, saved
from inpaint.arrays import Mask, Size

SIZES: dict[str, Size] = {
    "1x1": (1, 1),
    "7x5": (5, 7),
    "251x333": (333, 251),
    "90x1200": (1200, 90),
    "4000x3000": (3000, 4000),
}
"""By width and height, as people say it."""

PAGE_FIELDS: dict[str, object] = {
    "ldm_steps": 30,
    "ldm_sampler": "ddim",
    "zits_wireframe": True,
    "cv2_flag": "INPAINT_NS",
    "cv2_radius": 5,
    "hd_strategy": "Crop",
    "hd_strategy_crop_triger_size": 640,
    "hd_strategy_crop_margin": 128,
    "hd_trategy_resize_imit": 2048,
    "prompt": "",
    "negative_prompt": "",
    "use_croper": False,
    "croper_x": 0,
    "croper_y": 0,
    "croper_height": 512,
    "croper_width": 512,
    "use_extender": False,
    "extender_x": 0,
    "extender_y": 0,
    "extender_height": 640,
    "extender_width": 640,
    "sd_mask_blur": 12,
    "sd_strength": 1.0,
    "sd_steps": 50,
    "sd_guidance_scale": 7.5,
    "sd_sampler": "UniPC",
    "sd_seed": -1,
    "sd_match_histograms": False,
    "sd_lcm_lora": False,
    "paint_by_example_example_image": None,
    "p2p_image_guidance_scale": 1.5,
    "enable_controlnet": False,
    "controlnet_conditioning_scale": 0.4,
    "controlnet_method": "lllyasviel/control_v11p_sd15_canny",
    "enable_brushnet": False,
    "brushnet_method": "random_mask",
    "brushnet_conditioning_scale": 1.0,
    "enable_powerpaint_v2": False,
    "powerpaint_task": "text-guided",
}
"""Everything that IOPaint's page sends beside the files, its two misspelt names included."""

SMALL_CROP = {"hd_strategy_crop_trigger_size": 64, "hd_strategy_crop_margin": 16}
FIELDS: dict[str, dict[str, object]] = {
    "Original": {"hd_strategy": "Original"},
    "Crop": {"hd_strategy": "Crop", **SMALL_CROP},
    "Crop, margin 0": {"hd_strategy": "Crop", **SMALL_CROP, "hd_strategy_crop_margin": 0},
    "crop in lower case": {"hd_strategy": "crop", **SMALL_CROP, "hd_strategy_crop_margin": 0},
    "Resize": {"hd_strategy": "Resize", "hd_strategy_resize_limit": 64},
    "an unknown strategy": {"hd_strategy": "Fast"},
    "Telea": {"cv2_flag": "INPAINT_TELEA", "cv2_radius": 7},
    "numbers as strings": {"cv2_radius": "6", "hd_strategy_crop_margin": "20", "sd_seed": "5"},
    "unknown fields": {"colour": "red", "hd_strategy_crop_margn": 3},
    "an unknown sampler": {"sd_sampler": "Nobody's", "ldm_sampler": "nobody's"},
    "seed 7": {"sd_seed": 7},
    "radius 0": {"cv2_radius": 0},
    "radius -1": {"cv2_radius": -1},
    "a trigger of 0": {"hd_strategy_crop_trigger_size": 0},
    "a trigger of -5": {"hd_strategy_crop_trigger_size": -5},
}


def picture_cases(model: str, levels: int) -> Iterator[Case]:
    """All of them.

    Args:
        model: what both servers use; stands before each name.
        levels: how far its pixels may differ.
    """
    for case in _cases(model):
        yield replace(case, levels=levels)


def _cases(model: str) -> Iterator[Case]:
    for name, sample in SAMPLES.items():
        yield _of_sample(f"{model}, picture: {name}", sample)
    for name, size in SIZES.items():
        yield Case(f"{model}, size: {name}", _sized(size))
    for name, make in mask_files().items():
        yield Case(f"{model}, mask: {name}", _masked(make))
    for name, fields in FIELDS.items():
        yield Case(f"{model}, fields: {name}", _with_fields(fields))
    yield Case(f"{model}, fields: seed -1", _with_fields({"sd_seed": -1}), is_seed_random=True)
    yield Case(f"{model}, fields: all that the page sends", _as_page, is_seed_random=True)
    yield Case(f"{model}, fields: bare base64", _bare)
    yield Case(f"{model}, holes that overlap", _overlapping)
    yield Case(f"{model}, holes far apart", _far)


def _of_sample(name: str, sample: Sample) -> Case:
    mask = pictures.png(hole(sample.size))
    make_twin = sample.twin
    return Case(
        name,
        lambda: inpaint(sample.make(), mask),
        None if make_twin is None else lambda: inpaint(make_twin(), mask),
        sample.is_lossy,
    )


def _sized(size: Size) -> Callable[[], Call]:
    return lambda: inpaint(pictures.png(pictures.photo(size)), pictures.png(hole(size)))


def _masked(make: Callable[[], bytes]) -> Callable[[], Call]:
    return lambda: inpaint(saved(photo(), "PNG"), make())


def _with_fields(fields: dict[str, object]) -> Callable[[], Call]:
    return lambda: inpaint(saved(photo(), "PNG"), pictures.png(hole()), **fields)


def _as_page() -> Call:
    """700 px: more than the misspelt trigger size, less than IOPaint's default."""
    size = (300, 700)
    return inpaint(pictures.png(pictures.photo(size)), pictures.png(hole(size)), **PAGE_FIELDS)


def _bare() -> Call:
    call = inpaint(saved(photo(), "PNG"), pictures.png(hole()))
    return Call("POST", call.path, {name: url.partition(",")[2] for name, url in call.json.items()})


def _two(gap_px: int) -> Mask:
    mask = np.zeros(SIZE, np.uint8)
    mask[40:50, 20:30] = mask[40:50, 30 + gap_px : 40 + gap_px] = 255
    return mask


def _overlapping() -> Call:
    return inpaint(saved(photo(), "PNG"), pictures.png(_two(8)), **FIELDS["Crop"])


def _far() -> Call:
    return inpaint(saved(photo(), "PNG"), pictures.png(_two(60)), **FIELDS["Crop"])
