"""What the ops need of OpenCV."""

import cv2
import numpy as np


def resized(image, rows, columns):
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA).reshape(rows, columns, -1)


def blurred(image, sigma, radius):
    return cv2.GaussianBlur(image, (2 * radius + 1, 2 * radius + 1), sigmaX=sigma, sigmaY=sigma).reshape(image.shape)


def taken(image, x, y, edge):
    """The pixels at positions in 32nds of a pixel; black outside, or the nearest of the edge."""
    if edge:
        x, y = np.clip(x, 0, 32 * (image.shape[1] - 1)), np.clip(y, 0, 32 * (image.shape[0] - 1))
    whole = np.clip(np.stack([x >> 5, y >> 5], axis=-1), -(2**15), 2**15 - 1).astype(np.int16)
    rest = ((y & 31) * 32 + (x & 31)).astype(np.uint16)
    return cv2.remap(image, whole, rest, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT).reshape(image.shape)


def filtered(image, kernel):
    return cv2.filter2D(image, -1, kernel).reshape(image.shape)


def hsv_shifted(image, hue, saturation):
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + hue) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] + saturation, 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def enlarged(values, rows, columns):
    return cv2.resize(values, (columns, rows), interpolation=cv2.INTER_CUBIC)


def pixels_of(image, types, names):
    """The image as a uint8 array of height x width x channels."""
    if image.dtype not in types:
        raise TypeError(f"an image of {image.dtype}: expects {names}")
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"an image of shape {image.shape}: expects height x width x 1 or 3 channels")
    if image.size == 0:
        raise ValueError(f"an image of shape {image.shape}: it has no pixels")
    # Resizing may overshoot; normalised values go further.
    if image.dtype != np.uint8 and not (image.min() >= -0.5 and image.max() <= 1.5):
        raise ValueError(f"values from {image.min():g} to {image.max():g}: expects 0 to 1, so before A.Normalize")
    pixels = image if image.dtype == np.uint8 else np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
    return pixels.reshape(image.shape[:2] + (-1,))
