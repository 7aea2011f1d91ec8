"""The parameters of each route, as keyword arguments that a type checker knows.

A parameter that is left out has the server's default. Which of them a model reads is in
`ModelCard.parameters`; the server refuses the others. tests/client holds the names and types to the
server's own.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict

Format = Literal["png", "jpeg", "webp", "bmp", "tiff", "gif"]
Strategy = Literal["Original", "Resize", "Crop"]
PowerPaintTask = Literal[
    "text-guided", "context-aware", "shape-guided", "object-remove", "outpainting"
]
Sampler = Literal[
    "DPM++ 2M",
    "DPM++ 2M Karras",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Karras",
    "DPM++ SDE",
    "DPM++ SDE Karras",
    "DPM2",
    "DPM2 Karras",
    "DPM2 a",
    "DPM2 a Karras",
    "Euler",
    "Euler a",
    "Heun",
    "LMS",
    "LMS Karras",
    "DDIM",
    "PNDM",
    "UniPC",
    "LCM",
]
BoxSides = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


class _EveryModel(TypedDict, total=False):
    model: str
    format: Format
    quality: int


class _Erasing(TypedDict, total=False):
    """Models without a prompt."""

    seed: int
    hd_strategy: Strategy
    hd_strategy_crop_trigger_size: int
    hd_strategy_crop_margin: int
    hd_strategy_resize_limit: int
    geometry: Literal["iopaint", "snapped"]
    cv2_flag: Literal["INPAINT_NS", "INPAINT_TELEA"]
    cv2_radius: int
    ldm_steps: int
    ldm_sampler: Literal["plms", "ddim"]
    zits_wireframe: bool


class InpaintParams(_EveryModel, _Erasing, total=False):
    """Parameters of POST /inpaint."""

    prompt: str
    negative_prompt: str
    sd_steps: int
    sd_strength: float
    sd_guidance_scale: float
    sd_sampler: Sampler
    sd_seed: int
    sd_lcm_lora: bool
    enable_controlnet: bool
    controlnet_method: str
    controlnet_conditioning_scale: float
    enable_brushnet: bool
    brushnet_method: str
    brushnet_conditioning_scale: float
    enable_powerpaint_v2: bool
    powerpaint_task: PowerPaintTask
    fitting_degree: float
    use_croper: bool
    croper_x: int
    croper_y: int
    croper_height: int
    croper_width: int
    use_extender: bool
    extender_x: int
    extender_y: int
    extender_height: int
    extender_width: int
    sd_scale: float
    sd_mask_blur: int
    sd_match_histograms: bool
    sd_keep_unmasked_area: bool


class RemoveTextParams(_EveryModel, _Erasing, total=False):
    """Parameters of POST /remove-text; its model is one without a prompt."""

    min_score: float
    min_height_px: float
    max_height_px: float
    include: Sequence[BoxSides]
    exclude: Sequence[BoxSides]
    keep: str
    remove: str
    mask_mode: Literal["polygon", "box", "stroke"]
    mask_margin: float
    fill_flat: bool
    verify: bool
    dry_run: bool


class OcrParams(TypedDict, total=False):
    """Parameters of POST /ocr."""

    recognise: bool
    thresh: float
    box_thresh: float
    unclip_ratio: float
    min_score: float
    multiscale: bool
    zoom: float
