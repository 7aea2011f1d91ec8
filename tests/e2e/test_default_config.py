"""What a new user meets: the shipped config, real photos, no weights, no download."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data
from sklearn.datasets import load_sample_image

from tests.conftest import pixels, png

PHOTOS = {
    "astronaut": data.astronaut,
    "chelsea": data.chelsea,
    "rocket": data.rocket,
    "china": lambda: load_sample_image("china.jpg"),
    "flower": lambda: load_sample_image("flower.jpg"),
}


def middle_hole(image):
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2 - 30 : height // 2 + 30, width // 2 - 40 : width // 2 + 40] = 255
    return mask


@pytest.mark.parametrize("name", PHOTOS)
def test_photo_loses_its_object_and_keeps_the_rest(server, name):
    image = PHOTOS[name]()
    mask = middle_hole(image)
    answer = httpx.post(
        f"{server.url}/inpaint", files={"image": png(image), "mask": png(mask)}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model"] == "cv2"
    result = pixels(answer.content)
    np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
    assert (result[mask > 0] != image[mask > 0]).mean() > 0.5


def test_a_turned_jpeg_comes_back_upright_with_its_profile(server):
    image = data.coffee()
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    exif[0x010F] = "A camera"
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(image).save(buffer, "JPEG", quality=95, exif=exif, icc_profile=profile)
    mask = middle_hole(np.rot90(image, -1))
    answer = httpx.post(
        f"{server.url}/inpaint", files={"image": buffer.getvalue(), "mask": png(mask)}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    result = Image.open(io.BytesIO(answer.content))
    assert (result.format, result.size) == ("JPEG", (400, 600))
    assert result.info["icc_profile"] == profile
    assert result.getexif().get(0x0112, 1) == 1
    assert result.getexif()[0x010F] == "A camera"


def test_lama_without_weights_says_where_to_get_them(server):
    image = data.coffee()
    answer = httpx.post(
        f"{server.url}/inpaint",
        files={"image": png(image), "mask": png(middle_hole(image))},
        data={"model": "lama"},
        timeout=60,
    )
    assert answer.status_code == 503
    assert "big-lama.pt" in answer.json()["detail"]


def test_nothing_leaks_what_the_server_is(server):
    """Not an address, not a path, not a traceback in any answer to bad input."""
    bad = [
        httpx.post(f"{server.url}/inpaint", content=b"x", timeout=60),
        httpx.post(f"{server.url}/inpaint", json={"image": "AAAA", "mask": "AAAA"}, timeout=60),
        httpx.get(f"{server.url}/models/..%2F..%2Fetc%2Fpasswd", timeout=60),
        httpx.get(f"{server.url}/docs/../../etc/passwd", timeout=60),
    ]
    for answer in bad:
        assert 400 <= answer.status_code < 500, answer.text
        assert "Traceback" not in answer.text
        assert "site-packages" not in answer.text
