"""Pictures to bytes."""

from inpaint.arrays import Alpha, Image
from inpaint.codecs import bmp, gif, jpeg, png, tiff, webp
from inpaint.codecs.picture import Format, Metadata
from inpaint.errors import ImageTooLargeError

LONGEST_SIDE_PX = {
    Format.PNG: 1_000_000,  # PNG_USER_WIDTH_MAX of libpng, as OpenCV is built with it
    Format.JPEG: 65_500,  # JPEG_MAX_DIMENSION of libjpeg
    Format.WEBP: 16_383,  # WEBP_MAX_DIMENSION of libwebp
    Format.BMP: 2**31 - 1,
    Format.TIFF: 2**31 - 1,
    Format.GIF: 65_535,
}


def can_hold_alpha(format: Format) -> bool:
    """Whether transparency survives in this format; in a GIF as fully opaque or transparent."""
    return format is not Format.JPEG


def encode(
    image: Image, alpha: Alpha | None, format: Format, metadata: Metadata, quality: int
) -> bytes:
    """Write a picture.

    PNG, BMP, TIFF and WebP with `metadata.lossless` decode to the same `image` and `alpha`.

    Args:
        image: (H, W, 3) uint8 RGB, at least one pixel. Read-only.
        alpha: (H, W) uint8, 255 is opaque; laid over white for JPEG. Read-only.
        format: of the file.
        metadata: of the input; what the format cannot hold is left out.
        quality: 1 to 100, for JPEG and lossy WebP.

    Raises:
        ImageTooLargeError: the format holds no picture of this size.
    """
    height, width = image.shape[:2]
    longest = LONGEST_SIDE_PX[format]
    if max(height, width) > longest:
        raise ImageTooLargeError(
            f"The picture is {width}x{height} px, and a {format.upper()} holds at most {longest} "
            f"px a side; ask for {_with_room(max(height, width)).upper()}."
        )
    match format:
        case Format.PNG:
            return png.write(image, alpha, metadata)
        case Format.JPEG:
            return jpeg.write(image, alpha, metadata, quality)
        case Format.WEBP:
            return webp.write(image, alpha, metadata, quality)
        case Format.BMP:
            return bmp.write(image, alpha, metadata)
        case Format.TIFF:
            return tiff.write(image, alpha, metadata)
        case Format.GIF:
            return gif.write(image, alpha)


def _with_room(side: int) -> Format:
    """The format to ask for instead: a lossless one that holds such a side."""
    return Format.PNG if side <= LONGEST_SIDE_PX[Format.PNG] else Format.TIFF
