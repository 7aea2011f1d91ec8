"""Mask tools, prompts in pictures, the input picture and saving, over HTTP."""

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from inpaint.settings import IngressConfig, IOPaintArgs
from tests.conftest import pixels, png
from tests.iopaint_requests import encoded, findings, raised
from tests.local_service import LocalService

SAVE = "/api/v1/save_image"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "finished"
    path.mkdir()
    return path


@pytest.fixture
def service(tmp_path, folder):
    return LocalService(tmp_path, iopaint=IOPaintArgs(output_dir=folder))


def upload(name, data):
    return {"files": {"file": (name, data, "image/png")}}


async def adjust(service, mask, **fields):
    body = {"mask": encoded(png(mask)), **fields}
    async with service.client() as client:
        return await client.post("/api/v1/adjust_mask", json=body)


@pytest.mark.parametrize(
    ("operate", "kernel", "change"),
    [
        ("expand", 0, lambda mask, kernel: mask),
        ("expand", 5, cv2.dilate),
        ("shrink", 5, cv2.erode),
        ("shrink", 250, cv2.erode),
        ("reverse", -1, lambda mask, kernel: 255 - mask),
    ],
)
async def test_masks_are_adjusted_as_by_opencv(service, hole, operate, kernel, change):
    hole[:30, :50] = 255  # reaches the edges
    answer = await adjust(service, hole, operate=operate, kernel_size=kernel)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    side = 2 * max(kernel, 0) + 1
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    expected = change(hole, ellipse)
    brush = np.array([255, 203, 0, 186], np.uint8)
    np.testing.assert_array_equal(
        pixels(answer.content), np.where(expected[..., None] > 0, brush, np.uint8(0))
    )


async def test_grey_of_127_is_a_hole_of_this_route(service):
    grey = np.array([[0, 126, 127, 128]], np.uint8)
    answer = await adjust(service, grey, operate="expand", kernel_size=0)
    np.testing.assert_array_equal(pixels(answer.content)[..., 3], [[0, 0, 186, 186]])


async def test_kernel_of_five_is_the_default(service, hole):
    stated = await adjust(service, hole, operate="expand", kernel_size=5)
    assert (await adjust(service, hole, operate="expand")).content == stated.content


@pytest.mark.parametrize("kernel", [-1, 251])
async def test_kernels_out_of_range_are_refused(service, hole, kernel):
    answer = await adjust(service, hole, operate="expand", kernel_size=kernel)
    assert "between 0 and 250" in raised(answer, 422, "ParamsError")


async def test_wrong_masks_are_refused(service):
    async with service.client() as client:
        for body, expected in (
            ({}, [("missing", ("body", "mask")), ("missing", ("body", "operate"))]),
            ({"mask": "", "operate": "turn"}, [("literal_error", ("body", "operate"))]),
        ):
            answer = await client.post("/api/v1/adjust_mask", json=body)
            assert findings(answer) == expected
        body = {"mask": encoded(b"no picture"), "operate": "reverse"}
        raised(await client.post("/api/v1/adjust_mask", json=body), 400, "ImageDecodeError")


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        (None, "", ""),
        ("a cat", "a cat", ""),
        ("a cat\nNegative prompt: blur, dog \nSteps: 9", "a cat", "blur, dog"),
        ("Negative prompt: blurNegative prompt: dog", "", "blur"),
    ],
)
async def test_prompts_are_read(service, photo, text, prompt, negative):
    info = PngImagePlugin.PngInfo()
    if text is not None:
        info.add_text("parameters", text)
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "png", pnginfo=info)
    async with service.client() as client:
        answer = await client.post("/api/v1/gen-info", **upload("a.png", file.getvalue()))
    assert answer.json() == {"prompt": prompt, "negative_prompt": negative}


@pytest.mark.parametrize("path", ["/api/v1/gen-info", SAVE])
async def test_forms_without_a_picture_are_refused(service, path):
    async with service.client() as client:
        for sent in ({}, {"data": {"file": "text"}}, {"json": {"file": "x"}}):
            answer = await client.post(path, **sent)
            assert findings(answer) == [("missing", ("body", "file"))]
        raised(await client.post(path, **upload("a.png", b"text")), 400, "ImageDecodeError")
        raised(await client.post(path, **upload("a.png", b"")), 400, "ImageDecodeError")


async def test_input_image_is_the_file(tmp_path, photo):
    path = tmp_path / "start.jpg"
    path.write_bytes(png(photo))
    service = LocalService(tmp_path, iopaint=IOPaintArgs(input=path))
    async with service.client() as client:
        answer = await client.get("/api/v1/inputimage")
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"  # by the name, as IOPaint
    assert "content-disposition" not in answer.headers  # the page would read a name out of it


@pytest.mark.parametrize("name", [None, ".", "nothing-here"])
async def test_no_input_image_is_404(tmp_path, name):
    args = IOPaintArgs(input=None if name is None else tmp_path / name)
    async with LocalService(tmp_path, iopaint=args).client() as client:
        answer = await client.get("/api/v1/inputimage")
    assert str(tmp_path) not in raised(answer, 404, "UnknownFileError")


@pytest.mark.parametrize("name", ["photo.png", "图 片.png", "two words (1).jpeg"])
async def test_pictures_are_saved_and_replaced(service, folder, photo, name):
    async with service.client() as client:
        for picture in (photo, 255 - photo):
            answer = await client.post(SAVE, **upload(name, png(picture)))
            assert (answer.status_code, answer.json()) == (200, None)
            assert (folder / name).read_bytes() == png(picture)
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "/a.png",
        "..",
        ".",
        " . ",
        "sub/a.png",
        "a\\b.png",
        "..\\a.png",
        "a\x00.png",
        "a\n.png",
        "x" * 252 + ".png",
        "link.png",
        "dangling.png",
        "sub",
    ],
)
async def test_nothing_is_written_elsewhere(service, tmp_path, folder, photo, name):
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"kept")
    (folder / "link.png").symlink_to(outside)
    (folder / "dangling.png").symlink_to(tmp_path / "new.png")
    (folder / "sub").mkdir()
    before = sorted(tmp_path.rglob("*"))
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.replace("\\", "\\\\").encode()
        + b'"\r\nContent-Type: image/png\r\n\r\n'
        + png(photo)
        + b"\r\n--b--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    async with service.client() as client:
        answer = await client.post(SAVE, content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert str(tmp_path) not in answer.text
    assert sorted(tmp_path.rglob("*")) == before
    assert outside.read_bytes() == b"kept"


async def test_only_pictures_within_the_limits_are_saved(service, folder, photo):
    service.gateway.configure(IngressConfig(max_megapixels=0.001))
    async with service.client() as client:
        answer = await client.post(SAVE, **upload("a.png", png(photo)))
    raised(answer, 413, "ImageTooLargeError")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("configured", [False, True])
async def test_without_an_output_directory_nothing_is_saved(tmp_path, photo, configured):
    args = IOPaintArgs(output_dir=tmp_path / "gone" if configured else None)
    async with LocalService(tmp_path, iopaint=args).client() as client:
        answer = await client.post(SAVE, **upload("a.png", png(photo)))
    assert "--output-dir" in raised(answer, 400, "RequestError")


async def test_a_disk_that_refuses_is_503(service, folder, photo, monkeypatch):
    def refuse(self, target):
        raise OSError(28, "No space left on device", os.fspath(target))

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    async with service.client() as client:
        answer = await client.post(SAVE, **upload("a.png", png(photo)))
    assert "No space" not in raised(answer, 503, "UnavailableError")
    assert not list(folder.iterdir())
