"""Steps of IOPaint 1.6 around a network, with numpy and OpenCV alone, none of our own functions."""

import cv2
import numpy as np


def padded(array, multiple, minimum):
    """Symmetric padding at the bottom and right, up to a multiple."""
    height, width = (max(-(-side // multiple) * multiple, minimum) for side in array.shape[:2])
    grow = [(0, height - array.shape[0]), (0, width - array.shape[1])]
    return np.pad(array, grow + [(0, 0)] * (array.ndim - 2), mode="symmetric")


def blended(forward, image, mask, multiple, minimum):
    """Pad, forward, crop back, blend in float64."""
    height, width = mask.shape
    result = forward(padded(image, multiple, minimum), padded(mask, multiple, minimum))
    alpha = mask[..., None] / 255
    return result[:height, :width] * alpha + image * (1 - alpha)


def crop_box(contour, margin, image_height, image_width):
    """Left, top, right, bottom of a contour with a margin, moved inside the picture."""
    x, y, w, h = cv2.boundingRect(contour)
    centre_x, centre_y = (x + x + w) // 2, (y + y + h) // 2
    left, right = centre_x - (w + 2 * margin) // 2, centre_x + (w + 2 * margin) // 2
    top, bottom = centre_y - (h + 2 * margin) // 2, centre_y + (h + 2 * margin) // 2
    l, r = max(left, 0), min(right, image_width)  # noqa: E741
    t, b = max(top, 0), min(bottom, image_height)
    if left < 0:
        r += -left
    if right > image_width:
        l -= right - image_width  # noqa: E741
    if top < 0:
        b += -top
    if bottom > image_height:
        t -= bottom - image_height
    return max(l, 0), max(t, 0), min(r, image_width), min(b, image_height)
