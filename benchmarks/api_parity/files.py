"""Pictures and masks as files, in every format and mode that people have."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo

from benchmarks import pictures
from inpaint.arrays import Mask, Size

SIZE: Size = (96, 128)
PARAMETERS = "a red boat\nNegative prompt: fog, rain\nSteps: 20, Sampler: Euler a, Seed: 7"
ORIENTATION, MAKER = 0x0112, 0x010F
TURNED = 6
"""An EXIF orientation: turn by 90 degrees."""


@dataclass(frozen=True)
class Sample:
    """One picture file.

    Attributes:
        make: the file.
        twin: what it shows, as an 8-bit RGB or RGBA PNG; None where that is what it is.
        is_lossy: an answer in its format loses pixels.
        size: height and width once it is upright.
    """

    make: Callable[[], bytes]
    twin: Callable[[], bytes] | None = None
    is_lossy: bool = False
    size: Size = SIZE


def saved(picture: Pillow.Image, format_name: str, **options: Any) -> bytes:
    """A file by Pillow."""
    buffer = io.BytesIO()
    picture.save(buffer, format_name, **options)
    return buffer.getvalue()


def photo(size: Size = SIZE) -> Pillow.Image:
    """An RGB photo."""
    return Pillow.fromarray(pictures.photo(size))


def with_alpha() -> Pillow.Image:
    """RGBA whose alpha runs from left to right through all values."""
    picture = photo()
    ramp = np.linspace(0, 255, SIZE[1]).round().astype(np.uint8)
    picture.putalpha(Pillow.fromarray(np.broadcast_to(ramp, SIZE).copy()))
    return picture


def shown(data: bytes) -> bytes:
    """What a file of 8 bits shows, as an upright PNG."""
    picture = Pillow.open(io.BytesIO(data))
    has_alpha = picture.has_transparency_data
    return saved(picture.convert("RGBA" if has_alpha else "RGB"), "PNG")


def sixteen_bits(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """A 16-bit PNG (BGR order) whose high bytes are `array`; the low ones are noise."""
    low = np.random.default_rng(1).integers(0, 256, array.shape, np.uint16)
    wide = np.asarray(array.astype(np.uint16) * 256 + low, np.uint16)
    return cv2.imencode(".png", wide)[1].tobytes()


def grey() -> Pillow.Image:
    """A grey photo."""
    return photo().convert("L")


def palette(*, colours: int = 64) -> Pillow.Image:
    """A photo of few colours."""
    return photo().quantize(colours)


def srgb_profile() -> bytes:
    """An ICC profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera_exif(orientation: int | None = None) -> bytes:
    """EXIF with a camera's name, and an orientation if given."""
    exif = Pillow.Exif()
    exif[MAKER] = "A camera"
    if orientation is not None:
        exif[ORIENTATION] = orientation
    return exif.tobytes()


def png_text() -> PngInfo:
    """The text that picture generators leave."""
    text = PngInfo()
    text.add_text("parameters", PARAMETERS)
    return text


def _by_twin(make: Callable[[], bytes], *, is_lossy: bool = False) -> Sample:
    return Sample(make, lambda: shown(make()), is_lossy)


def _turned(format_name: str, *, is_lossy: bool) -> Sample:
    def make() -> bytes:
        lying = photo().transpose(Pillow.Transpose.ROTATE_90)
        options = {"quality": 95} if is_lossy else {}
        return saved(lying, format_name, exif=camera_exif(TURNED), **options)

    def upright() -> bytes:
        lying = Pillow.open(io.BytesIO(make())).convert("RGB")
        return saved(lying.transpose(Pillow.Transpose.ROTATE_270), "PNG")

    return Sample(make, upright, is_lossy)


def _rgba_bgra() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(cv2.cvtColor(np.asarray(with_alpha()), cv2.COLOR_RGBA2BGRA), np.uint8)


SAMPLES: dict[str, Sample] = {
    "PNG": Sample(lambda: saved(photo(), "PNG")),
    "JPEG": _by_twin(lambda: pictures.jpeg(pictures.photo(SIZE)), is_lossy=True),
    "JPEG 4:4:4": _by_twin(
        lambda: saved(photo(), "JPEG", quality=95, subsampling=0), is_lossy=True
    ),
    "grey JPEG": _by_twin(lambda: saved(grey(), "JPEG", quality=92), is_lossy=True),
    "WebP": _by_twin(lambda: saved(photo(), "WEBP", quality=90), is_lossy=True),
    "WebP without loss": _by_twin(lambda: saved(photo(), "WEBP", lossless=True), is_lossy=True),
    "BMP": Sample(lambda: saved(photo(), "BMP"), lambda: saved(photo(), "PNG")),
    "TIFF": Sample(
        lambda: saved(photo(), "TIFF", compression="tiff_lzw"), lambda: saved(photo(), "PNG")
    ),
    "TIFF without compression": Sample(
        lambda: saved(photo(), "TIFF"), lambda: saved(photo(), "PNG")
    ),
    "GIF": _by_twin(lambda: saved(palette(), "GIF"), is_lossy=True),
    "RGBA": Sample(lambda: saved(with_alpha(), "PNG")),
    "RGBA WebP": _by_twin(lambda: saved(with_alpha(), "WEBP", quality=90), is_lossy=True),
    "LA": _by_twin(lambda: saved(with_alpha().convert("LA"), "PNG")),
    "palette": _by_twin(lambda: saved(palette(), "PNG")),
    "palette with alphas": _by_twin(
        lambda: saved(palette(), "PNG", transparency=bytes(range(0, 256, 4)))
    ),
    "palette with a transparent index": _by_twin(lambda: saved(palette(), "PNG", transparency=3)),
    "transparent colour": _by_twin(
        lambda: saved(photo(), "PNG", transparency=photo().getpixel((3, 3)))
    ),
    "1 bit": _by_twin(lambda: saved(photo().convert("1"), "PNG")),
    "grey": _by_twin(lambda: saved(grey(), "PNG")),
    "grey, 16 bits": Sample(
        lambda: sixteen_bits(np.asarray(grey())), lambda: saved(grey().convert("RGB"), "PNG")
    ),
    "RGB, 16 bits": Sample(
        lambda: sixteen_bits(np.asarray(photo())[..., ::-1]), lambda: saved(photo(), "PNG")
    ),
    "RGBA, 16 bits": Sample(lambda: sixteen_bits(_rgba_bgra()), lambda: saved(with_alpha(), "PNG")),
    "CMYK JPEG": _by_twin(
        lambda: saved(photo().convert("CMYK"), "JPEG", quality=95), is_lossy=True
    ),
    "CMYK TIFF": _by_twin(lambda: saved(photo().convert("CMYK"), "TIFF")),
    "turned JPEG": _turned("JPEG", is_lossy=True),
    "turned PNG": _turned("PNG", is_lossy=False),
    "PNG with ICC": Sample(lambda: saved(photo(), "PNG", icc_profile=srgb_profile())),
    "JPEG with ICC and EXIF": _by_twin(
        lambda: saved(photo(), "JPEG", quality=95, icc_profile=srgb_profile(), exif=camera_exif()),
        is_lossy=True,
    ),
    "PNG with parameters": Sample(lambda: saved(photo(), "PNG", pnginfo=png_text())),
    "PNG with dpi and EXIF": Sample(
        lambda: saved(photo(), "PNG", dpi=(300, 300), exif=camera_exif())
    ),
}


def hole(size: Size = SIZE) -> Mask:
    """A hole in the middle, a third of the shorter side wide."""
    return pictures.one_hole(size, max(1, min(size) // 3))


def mask_files() -> dict[str, Callable[[], bytes]]:
    """Masks of SIZE in every form in which clients send them."""
    return {
        "empty": lambda: pictures.png(np.zeros(SIZE, np.uint8)),
        "full": lambda: pictures.png(np.full(SIZE, 255, np.uint8)),
        "one pixel": lambda: pictures.png(pictures.one_hole(SIZE, 1)),
        "grey": lambda: pictures.png(_greys()),
        "soft": lambda: pictures.png(np.asarray(cv2.GaussianBlur(hole(), (0, 0), 4), np.uint8)),
        "canvas of the page": lambda: saved(_canvas(), "PNG"),
        "1 bit": lambda: saved(Pillow.fromarray(hole()).convert("1"), "PNG"),
        "RGB JPEG": lambda: pictures.jpeg(np.dstack([hole()] * 3)),
        "LA": lambda: saved(Pillow.merge("LA", [Pillow.fromarray(hole())] * 2), "PNG"),
    }


def _greys() -> Mask:
    """A hole of all greys around the threshold, from 110 to 145."""
    mask = np.zeros(SIZE, np.uint8)
    mask[30:60, 40:76] = np.arange(110, 146, dtype=np.uint8)
    return mask


def _canvas() -> Pillow.Image:
    """As the page's canvas: brush #ffcc00bb on transparent black."""
    drawn = np.zeros((*SIZE, 4), np.uint8)
    drawn[hole() > 0] = (0xFF, 0xCC, 0x00, 0xBB)
    return Pillow.fromarray(drawn)
