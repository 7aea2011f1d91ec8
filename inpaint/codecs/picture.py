"""What a picture is once it is read, and what is remembered of the file that it came in."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from inpaint.arrays import Alpha, Image, Size
from inpaint.errors import ParamsError


class Format(StrEnum):
    """The file formats that are read and written."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    BMP = "bmp"
    TIFF = "tiff"
    GIF = "gif"

    @property
    def media_type(self) -> str:
        """The registered media type, such as "image/png"."""
        return f"image/{self.value}"

    @classmethod
    def parse(cls, word: str) -> Self:
        """The format that `word` names: "PNG", "jpg", ".tif" and "image/webp" all do.

        Raises:
            ParamsError: no format has that name.
        """
        name = word.strip().lower().removeprefix("image/").removeprefix(".")
        try:
            return cls({"jpg": "jpeg", "tif": "tiff"}.get(name, name))
        except ValueError as error:
            raise ParamsError(
                f"{word[:40]!r} is no picture format that is written here; use one of "
                f"{', '.join(cls)}."
            ) from error


@dataclass(frozen=True, slots=True)
class Metadata:
    r"""What is carried from the input file to the output file beside the pixels.

    Attributes:
        icc_profile: colour profile as stored; its colour space is RGB or GRAY.
        exif: a TIFF structure without the leading "Exif\0\0", without orientation and without
            the thumbnail, which would show what was erased.
        dpi: (horizontal, vertical) pixels an inch.
        parameters: PNG text of that keyword, in which picture generators keep their prompt.
        lossless: the input was a WebP that was stored without loss.
        subsampling: of an input JPEG: "444", "422", "420", "440", "411" or "Gray".
        tiff_compression: of an input TIFF, in Pillow's words; None if it cannot be written.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    parameters: str | None = None
    lossless: bool = False
    subsampling: str | None = None
    tiff_compression: str | None = None

    def profile_of(self, space: bytes) -> bytes | None:
        """The profile if it describes colours of `space`, b"RGB " or b"GRAY"."""
        fits = self.icc_profile is not None and self.icc_profile[16:20] == space
        return self.icc_profile if fits else None


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a file say.

    Attributes:
        format: the container.
        size: (height, width) in pixels as stored, before the EXIF orientation is applied.
        mode: how the samples are stored, in Pillow's words: "1", "L", "I;16", "LA", "P", "RGB",
            "RGBA", "CMYK", "YCbCr" or "LAB".
    """

    format: Format
    size: Size
    mode: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is decoded for one picture.

    Attributes:
        max_pixels: most pixels, height times width.
        take: told of the bytes that a picture is about to take, and raises where there is no room
            for them; called on the thread that decodes.
    """

    max_pixels: int
    take: Callable[[int], None] = lambda count: None


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture. The arrays may be read-only.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        alpha: (H, W) uint8, 255 is opaque; None if the file has no transparency.
        format: what it came in.
        metadata: what goes along to the output.
        turned: the EXIF orientation was applied, so the file's rows are not the picture's rows.
    """

    image: Image
    alpha: Alpha | None
    format: Format
    metadata: Metadata
    turned: bool
