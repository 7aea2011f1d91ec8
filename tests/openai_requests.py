"""What OpenAI's clients send to POST /v1/images/edits, and what comes back."""

import asyncio
import base64

import numpy as np

from tests.conftest import pixels, png


def transparent(hole):
    """A mask in OpenAI's way: black, and transparent where `hole` is 255."""
    black = np.zeros((*hole.shape, 3), np.uint8)
    return np.dstack([black, 255 - hole])


def see_through(photo, hole):
    """The photo, transparent where `hole` is 255."""
    return np.dstack([photo, 255 - hole])


def named(array, name="photo.png"):
    """A PNG as the clients take files: with a name and a type."""
    return (name, png(array), "image/png")


def edit_of(photo, hole, model="cv2", **fields):
    """Arguments of `client.images.edit`."""
    mask = named(transparent(hole), "mask.png")
    words = {"model": model, "prompt": "an empty wall", **fields}
    return {"image": named(photo), "mask": mask, **words}


def picture(encoded):
    """The array of a picture in base64."""
    return pixels(base64.b64decode(encoded))


def data_url(array):
    """A PNG as a data: URL."""
    return "data:image/png;base64," + base64.b64encode(png(array)).decode()


async def until(is_so, limit_s=5):
    """Wait until `is_so()` is true."""
    async with asyncio.timeout(limit_s):
        while not is_so():  # noqa: ASYNC110  the service has no event for a test
            await asyncio.sleep(0.01)
