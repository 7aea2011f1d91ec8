"""What the tests of special models ask: one scene, painted by every model that is named."""

from itertools import combinations

import cv2
import httpx
import numpy as np

from inpaint.examples import EXAMPLE
from tests.conftest import pixels, png
from tests.serve.checkpoints import request_of
from tests.serve.special_checkpoints import PAINT_BY_EXAMPLE

ANYTEXT, POWERPAINT = "anytext", "powerpaint"
SIDES = {ANYTEXT: 192}
"""Of the scene, where it is not 512 px: the other models pad what is smaller."""
USUAL = {
    PAINT_BY_EXAMPLE: {"prompt": None, "example": 0},
    ANYTEXT: {"prompt": 'a sign with "AB" on it'},
}
"""What a model is asked for, where a cat will not do."""
FEWEST_LEVELS = 0.2
"""That two pictures of different meaning differ by at least, as a mean over the hole."""


def picture_for(model):
    """(side, side, 3) uint8 RGB: smooth, with edges for control pictures to find."""
    side = SIDES.get(model, 512)
    coarse = np.random.default_rng(3).integers(0, 256, (9, 9, 3), np.uint8)
    image = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    image[60 : side - 60 : 40] = 255 - image[60 : side - 60 : 40]
    return image


def hole_for(model):
    """(side, side) uint8: one rectangle."""
    side = SIDES.get(model, 512)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 3 : side * 2 // 3, side // 5 : side * 4 // 5] = 255
    return mask


def example_picture(number):
    """(200, 300, 3) uint8 RGB; each number shows something else."""
    coarse = np.random.default_rng(number).integers(0, 256, ((3, 40)[number],) * 2 + (3,), np.uint8)
    return cv2.resize(coarse, (300, 200))


def special_request(model, *, accept="image/png", **fields):
    """What httpx is told: `model` paints the scene in 2 steps; `example` is a number or None."""
    fields = {"prompt": "a cat", **USUAL.get(model, {}), **fields}
    example = fields.pop("example", None)
    request = request_of(picture_for(model), hole_for(model), model=model, accept=accept, **fields)
    if example is not None:
        request["files"][EXAMPLE] = png(example_picture(example))
    return request


class Painter:
    """Asks a service, and remembers what it painted: several tests compare with the same run."""

    def __init__(self, url):
        self._url = url
        self._painted = {}

    def ask(self, model, **fields):
        """The answer, whatever it is."""
        with httpx.Client(base_url=self._url, timeout=120) as client:
            return client.post("/inpaint", **special_request(model, **fields))

    def paint(self, model, **fields):
        """The pixels of a run; nothing but the hole differs from the picture."""
        key = (model, *sorted(fields.items()))
        if key not in self._painted:
            self._painted[key] = self.paint_again(model, **fields)
        return self._painted[key]

    def paint_again(self, model, **fields):
        """The same of a new run."""
        answer = self.ask(model, **fields)
        assert answer.status_code == 200, answer.text[:500]
        assert answer.headers["x-model"] == model
        result, picture, hole = pixels(answer.content), picture_for(model), hole_for(model) > 0
        np.testing.assert_array_equal(result[~hole], picture[~hole])
        assert (result != picture).any(axis=2)[hole].mean() > 0.9
        return result

    def paint_all(self, model, *changes):
        """The pixels of the usual run and of each change to it; each two of them differ."""
        results = [self.paint(model, **fields) for fields in ({}, *changes)]
        hole = hole_for(model) > 0
        for (one, first), (other, second) in combinations(enumerate(results), 2):
            levels = np.abs(first.astype(int) - second)[hole].mean()
            assert levels > FEWEST_LEVELS, (one, other, levels)
        return results
