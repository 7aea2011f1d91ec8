"""What AnyText's networks are asked in the tests, and what IOPaint's answered."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaint.arrays import Image, Mask

ANSWERS = Path(__file__).parents[1] / "data" / "any_text_answers.json"
"""Of IOPaint 1.6.0's classes with the weights of tests/standins/any_text.py; see its `source`."""

PROMPT = 'a cat sign that says "Hello, dog" and “Open 24h”'
SIZE = (128, 192)


def probes() -> dict[str, NDArray[np.float32]]:
    """Inputs of the networks, by name."""
    draw = np.random.RandomState(7)
    height, width = SIZE
    latents = (1, 4, height // 8, width // 8)
    made: dict[str, Any] = {
        "glyphs": draw.randint(0, 2, (1, 1, 2 * height, 2 * width)),
        "places": draw.randint(0, 2, (1, 1, height, width)),
        "known": draw.standard_normal(latents),
        "latents": draw.standard_normal(latents),
        "texts": draw.standard_normal((1, 77, 64)),
        "picture": draw.uniform(-1, 1, (1, 3, 48, 320)),
    }
    return {name: np.asarray(values, np.float32) for name, values in made.items()}


def mask_of_three() -> Mask:
    """A level place, an upright one, and one more than PROMPT has lines."""
    mask: Mask = np.zeros(SIZE, np.uint8)
    mask[10:40, 20:120] = 255
    mask[60:120, 5:30] = 255
    mask[70:110, 60:180] = 255
    return mask


def cells(picture: Image) -> NDArray[np.float64]:
    """(16, 24, 3): means of 8x8 px."""
    height, width = picture.shape[:2]
    means = picture.reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))
    return np.asarray(means, np.float64)


def answers() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(ANSWERS.read_text())
    return content
