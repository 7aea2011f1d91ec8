"""The file manager of IOPaint's page, over HTTP."""

import io
import os

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from inpaint.settings import AccessArgs, IngressConfig, IOPaintArgs
from serve_app.access.keys import digest_of
from serve_app.iopaint import media
from tests.conftest import pixels, png
from tests.iopaint_requests import findings, raised
from tests.local_service import LocalService

API = "/api/v1"
TABS = ("input", "output", "mask")


@pytest.fixture
def folders(tmp_path):
    """A folder for each tab, beside a picture that belongs to none."""
    (tmp_path / "secret.png").write_bytes(png(np.zeros((4, 4, 3), np.uint8)))
    for tab in TABS:
        (tmp_path / tab).mkdir()
    return tmp_path


@pytest.fixture
def service(folders):
    args = IOPaintArgs(
        input=folders / "input", output_dir=folders / "output", mask_dir=folders / "mask"
    )
    return LocalService(folders, iopaint=args)


async def ask(service, route, **params):
    async with service.client() as client:
        return await client.get(f"{API}/{route}", params=params)


async def names(service, tab="input"):
    answer = await ask(service, "medias", tab=tab)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()]


def saved(image, format_, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format_, **options)
    return file.getvalue()


def sideways(image):
    """A JPEG whose EXIF says that it is to be turned by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(image, "jpeg", exif=exif)


@pytest.mark.parametrize("tab", TABS)
async def test_a_folder_is_listed_as_iopaint_does(service, folders, photo, tab):
    path = folders / tab / "b 图.PNG"
    path.write_bytes(png(photo))
    os.utime(path, (1e9, 1e9 + 0.5))
    (folders / tab / "a.jpg").write_bytes(sideways(photo))
    height, width = photo.shape[:2]
    turned, plain = (await ask(service, "medias", tab=tab)).json()
    facts = path.stat()
    assert plain == {
        "name": "b 图.PNG",
        "height": height,
        "width": width,
        "ctime": facts.st_ctime,
        "mtime": 1e9 + 0.5,
    }
    assert (turned["name"], turned["height"], turned["width"]) == ("a.jpg", width, height)


async def test_only_pictures_of_the_folder_itself_are_listed(service, folders, photo):
    inside = folders / "input"
    for suffix in ("png", "jpeg", "webp", "bmp", "gif"):
        (inside / f"good.{suffix}").write_bytes(saved(photo, suffix))
    (inside / "text.png").write_text("no picture")
    (inside / "empty.png").touch()
    (inside / "notes.txt").write_text("notes")
    (inside / "scan.tiff").write_bytes(saved(photo, "tiff"))  # no browser shows it
    (inside / "scan.png").write_bytes(saved(photo, "tiff"))
    (inside / "folder.png").mkdir()
    (inside / "folder.png" / "deep.png").write_bytes(png(photo))
    (inside / "link.png").symlink_to(folders / "secret.png")
    (inside / "line\nbreak.png").write_bytes(png(photo))
    os.mkfifo(inside / "pipe.png")
    (inside / "not-\udcff-utf8.png").write_bytes(png(photo))  # the byte 0xff on the disk
    found = await names(service)
    assert found == ["good.bmp", "good.gif", "good.jpeg", "good.png", "good.webp"]


async def test_the_newest_are_listed_where_there_are_many(service, folders, photo, monkeypatch):
    monkeypatch.setattr(media, "MOST_LISTED", 3)
    for age, name in enumerate("dacbe"):
        path = folders / "input" / f"{name}.png"
        path.write_bytes(png(photo[: age + 1]))
        os.utime(path, (1e9 - age, 1e9 - age))
    assert await names(service) == ["a.png", "c.png", "d.png"]


async def test_a_replaced_picture_is_listed_anew(service, folders, photo):
    path = folders / "input" / "a.png"
    for height in (10, 20):
        path.write_bytes(png(photo[:height]))
        (found,) = (await ask(service, "medias", tab="input")).json()
        assert found["height"] == height


async def test_what_the_page_saves_appears_among_the_outputs(service, photo):
    async with service.client() as client:
        files = {"file": ("done.png", png(photo), "image/png")}
        assert (await client.post(f"{API}/save_image", files=files)).status_code == 200
    assert await names(service, "output") == ["done.png"]
    answer = await ask(service, "media_file", tab="output", filename="done.png")
    np.testing.assert_array_equal(pixels(answer.content), photo)


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp"])
async def test_files_are_handed_out_as_they_are(service, folders, photo, format_):
    data = saved(photo, format_)
    (folders / "mask" / f"a.{format_}").write_bytes(data)
    answer = await ask(service, "media_file", tab="mask", filename=f"a.{format_}")
    assert (answer.content, answer.headers["content-type"]) == (data, f"image/{format_}")


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (50, 0, (37, 50)),
        (0, 30, (30, 40)),
        (50, 999, (37, 50)),
        (0, 0, (75, 100)),
        (100_000, 1, (75, 100)),
        (1, 0, (1, 1)),
    ],
)
async def test_thumbnails_keep_the_proportions(service, folders, rng, width, height, expected):
    image = np.repeat(rng.integers(0, 256, (75, 1, 3), np.uint8), 100, axis=1)
    (folders / "input" / "a.png").write_bytes(png(image))
    answer = await ask(
        service, "media_thumbnail_file", tab="input", filename="a.png", width=width, height=height
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    told = (int(answer.headers["x-height"]), int(answer.headers["x-width"]))
    small = pixels(answer.content)
    assert told == small.shape[:2] == expected
    area = cv2.resize(image, expected[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - area).mean() < 12  # JPEG of coloured noise


async def test_thumbnails_have_a_largest_side(service, folders):
    (folders / "input" / "a.png").write_bytes(png(np.full((20, 3000, 3), 7, np.uint8)))
    answer = await ask(
        service, "media_thumbnail_file", tab="input", filename="a.png", width=3000, height=0
    )
    assert pixels(answer.content).shape == (6, 1024, 3)


async def test_thumbnails_are_upright_and_lie_on_white(service, folders, photo):
    (folders / "input" / "a.jpg").write_bytes(sideways(photo))
    clear = np.zeros((*photo.shape[:2], 4), np.uint8)
    (folders / "input" / "b.png").write_bytes(png(clear))
    turned, white = [
        pixels(
            (
                await ask(
                    service, "media_thumbnail_file", tab="input", filename=name, width=40, height=0
                )
            ).content
        )
        for name in ("a.jpg", "b.png")
    ]
    height, width = photo.shape[:2]
    assert turned.shape[:2] == (int(width * 40 / height), 40)
    assert (white == 255).all()


async def test_a_replaced_picture_has_another_thumbnail(service, folders):
    path = folders / "input" / "a.png"
    for grey in (10, 200):
        path.write_bytes(png(np.full((20, 20 + grey, 3), grey, np.uint8)))
        answer = await ask(
            service, "media_thumbnail_file", tab="input", filename="a.png", width=20, height=0
        )
        assert np.abs(pixels(answer.content).astype(int) - grey).max() <= 1


HOSTILE = [
    "../secret.png",
    "..\\secret.png",
    "sub/deep.png",
    "./a.png",
    "%2e%2e%2fsecret.png",
    "..",
    ".",
    "",
    " ",
    "a.png\x00.jpg",
    "x" * 300 + ".png",
    "\ud800.png".encode("utf-8", "surrogatepass").decode("latin-1"),
    "link.png",
    "loop.png",
    "dangling.png",
    "folder.png",
    "pipe.png",
    "secret.txt",
    "absent.png",
]


@pytest.mark.parametrize("name", [*HOSTILE, "ABSOLUTE"])
async def test_nothing_outside_of_the_folder_is_handed_out(service, folders, name):
    inside = folders / "input"
    (inside / "sub").mkdir()
    (inside / "sub" / "deep.png").write_bytes((folders / "secret.png").read_bytes())
    (inside / "a.png").write_bytes((folders / "secret.png").read_bytes())
    (inside / "secret.txt").write_text("secret")
    (inside / "link.png").symlink_to(folders / "secret.png")
    (inside / "loop.png").symlink_to(inside / "loop.png")
    (inside / "dangling.png").symlink_to(folders / "nothing.png")
    (inside / "folder.png").mkdir()
    os.mkfifo(inside / "pipe.png")
    name = str(folders / "secret.png") if name == "ABSOLUTE" else name
    for answer in (
        await ask(service, "media_file", tab="input", filename=name),
        await ask(service, "media_thumbnail_file", tab="input", filename=name, width=9, height=9),
    ):
        assert str(folders) not in raised(answer, 422, "ParamsError")


async def test_wrong_parameters_are_fastapis_422(service):
    assert findings(await ask(service, "medias")) == [("missing", ("query", "tab"))]
    assert findings(await ask(service, "medias", tab="/etc")) == [
        ("literal_error", ("query", "tab"))
    ]
    assert findings(await ask(service, "media_file", tab="input")) == [
        ("missing", ("query", "filename"))
    ]
    params = {"tab": "input", "filename": "a.png", "width": -1, "height": "tall"}
    assert findings(await ask(service, "media_thumbnail_file", **params)) == [
        ("greater_than_equal", ("query", "width")),
        ("int_parsing", ("query", "height")),
    ]


async def test_text_called_png_is_not_handed_out(service, folders):
    (folders / "input" / "a.png").write_text("<html>no picture</html>")
    answer = await ask(service, "media_file", tab="input", filename="a.png")
    raised(answer, 400, "ImageDecodeError")


async def test_files_and_pictures_have_limits(service, folders, rng):
    noise = rng.integers(0, 256, (700, 700, 3), np.uint8)
    (folders / "input" / "a.png").write_bytes(png(noise))
    service.gateway.configure(IngressConfig(max_body_mb=1, max_megapixels=0.4))
    answer = await ask(service, "media_file", tab="input", filename="a.png")
    raised(answer, 413, "BodyTooLargeError")
    (folders / "input" / "b.png").write_bytes(png(np.zeros_like(noise)))
    params = {"tab": "input", "filename": "b.png", "width": 9, "height": 9}
    raised(await ask(service, "media_thumbnail_file", **params), 413, "ImageTooLargeError")


@pytest.mark.parametrize("given", ["nothing", "a file", "gone", "only an output"])
async def test_without_an_input_folder_there_is_no_file_manager(tmp_path, photo, given):
    (tmp_path / "a.png").write_bytes(png(photo))
    args = {
        "nothing": IOPaintArgs(),
        "a file": IOPaintArgs(input=tmp_path / "a.png", output_dir=tmp_path),
        "gone": IOPaintArgs(input=tmp_path / "gone", output_dir=tmp_path),
        "only an output": IOPaintArgs(output_dir=tmp_path),
    }[given]
    service = LocalService(tmp_path, iopaint=args)
    sides = {"width": 9, "height": 9}
    for route, params in (
        ("medias", {}),
        ("media_file", {"filename": "a.png"}),
        ("media_thumbnail_file", {"filename": "a.png", **sides}),
    ):
        answer = await ask(service, route, tab="output", **params)
        assert "--input" in raised(answer, 404, "UnknownFileError")
    assert (await ask(service, "server-config")).json()["enableFileManager"] is False


async def test_folders_that_are_not_configured_are_empty(folders, photo):
    (folders / "input" / "a.png").write_bytes(png(photo))
    args = IOPaintArgs(input=folders / "input", mask_dir=folders / "gone")
    service = LocalService(folders, iopaint=args)
    told = (await ask(service, "server-config")).json()
    assert (told["enableFileManager"], told["enableAutoSaving"]) == (True, False)
    assert [await names(service, tab) for tab in TABS] == [["a.png"], [], []]
    for tab in ("output", "mask"):
        raised(await ask(service, "media_file", tab=tab, filename="a.png"), 422, "ParamsError")


async def test_a_folder_that_cannot_be_read_is_503(service, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr("os.scandir", refuse)
    answer = await ask(service, "medias", tab="input")
    assert "denied" not in raised(answer, 503, "UnavailableError")


async def test_a_key_is_asked_for(service, tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text(yaml.safe_dump({"keys": [{"name": "a", "sha256": digest_of("isk_a")}]}))
    service.access = AccessArgs(auth="required", api_keys=keys)
    raised(await ask(service, "medias", tab="input"), 401, "UnauthorizedError")
    async with service.client(headers={"X-API-Key": "isk_a"}) as client:
        answer = await client.get(f"{API}/medias", params={"tab": "input"})
    assert (answer.status_code, answer.json()) == (200, [])
