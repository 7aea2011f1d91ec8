"""Pictures with writing, made without any font file of the system."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def write(image, text, position, size_px, colour=(255, 255, 255), outline=0):
    """A copy of an RGB array with `text` at (x, y), in the font that ships inside Pillow."""
    canvas = Image.fromarray(image)
    font = ImageFont.load_default(size_px)
    ImageDraw.Draw(canvas).text(
        position, text, font=font, fill=colour, stroke_width=outline, stroke_fill=(0, 0, 0)
    )
    return np.asarray(canvas).copy()
