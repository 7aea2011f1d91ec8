"""POST /remove-text as a way of the text removal benchmark."""

import base64
import time

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks import pictures
from inpaint.arrays import Image, Mask
from inpaint.text_masks import MaskMode

TIMEOUT_S = 300


def remove_text(
    url: str, image: Image, mode: MaskMode, margin: float, model: str
) -> tuple[Image, Mask, float]:
    """The picture without its text, the mask of what was repainted, and the milliseconds."""
    fields = {"model": model, "mask_mode": str(mode), "mask_margin": str(margin), "verify": "true"}
    data = pictures.png(image)
    start = time.perf_counter()
    answer = httpx.post(
        f"{url}/remove-text",
        files={"image": ("scene.png", data, "image/png")},
        data=fields,
        headers={"Accept": "application/json"},
        timeout=TIMEOUT_S,
    )
    milliseconds = (time.perf_counter() - start) * 1000
    answer.raise_for_status()
    body = answer.json()
    painted = cv2.cvtColor(_array(body["image"], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    mask = _array(body["mask"], cv2.IMREAD_GRAYSCALE)
    return np.asarray(painted, np.uint8), mask, milliseconds


def _array(text: str, how: int) -> NDArray[np.uint8]:
    """The pixels of base64 or of a data URL."""
    data = base64.b64decode(text.rpartition(",")[2])
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    if pixels is None:
        raise ValueError("The server's answer holds no picture.")
    return np.asarray(pixels, np.uint8)
