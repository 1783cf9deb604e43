"""Ops on uint8 arrays of height x width x channels, by OpenCV and numpy."""

import math

import cv2
import numpy as np


def half_away(x):
    """The nearest whole number; halves go away from 0."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def shorter_side(image):
    return min(image.shape[:2])


def lookup(image, table):
    """table[v] for every value v."""
    return np.asarray(table, np.uint8)[image]


def crop(image, pixels=None, parts=None):
    """Cuts (top, right, bottom, left) off, in pixels or parts of the side, and resizes to the old size."""
    rows, columns = image.shape[:2]
    if parts is not None:
        pixels = [half_away(part * side) for part, side in zip(parts, (rows, columns, rows, columns))]
    top, right, bottom, left = (int(cut) for cut in pixels)

    def leave_one(n, start, end):
        excess = max(start + end + 1 - n, 0)
        from_start = min(max((excess + 1) // 2, excess - end), start)
        return start - from_start, end - (excess - from_start)

    top, bottom = leave_one(rows, top, bottom)
    right, left = leave_one(columns, right, left)
    if top + bottom + right + left == 0:
        return image
    part = np.ascontiguousarray(image[top : rows - bottom, left : columns - right])
    return cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA).reshape(image.shape)


def gaussian_blur(image, sigma=None, part=None):
    """Blurs with a standard deviation in pixels, or as a part of the shorter side; mirrored at the edges."""
    sigma = part * shorter_side(image) if sigma is None else sigma
    if sigma <= 1e-3:
        return image
    size = (3.3 if sigma < 3 else 2.9 if sigma < 5 else 2.6) * sigma
    size = int(max(size, 5)) // 2 * 2 + 1
    return cv2.GaussianBlur(image, (size, size), sigmaX=sigma, sigmaY=sigma).reshape(image.shape)


def warp(image, matrix):
    """Moves (x, y) to matrix times (x, y, 1); bilinear, black outside.

    The positions are rounded to 1/32 pixel, as warpAffine of OpenCV 4 does; that of OpenCV 5 does not.
    """
    rows, columns = image.shape[:2]
    inverse = cv2.invertAffineTransform(np.array(matrix, np.float64))

    def positions(a, b, c):
        x = np.rint(a * np.arange(columns) * 1024)
        y = np.rint((b * np.arange(rows) + c) * 1024)
        return np.clip(x + y[:, None] + 16, -(2**29), 2**29).astype(np.int32) >> 5

    x, y = positions(*inverse[0]), positions(*inverse[1])
    whole = np.clip(np.stack([x >> 5, y >> 5], axis=-1), -(2**15), 2**15 - 1).astype(np.int16)
    rest = ((y & 31) * 32 + (x & 31)).astype(np.uint16)
    warped = cv2.remap(image, whole, rest, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return warped.reshape(image.shape)


def warp_about_centre(image, xx, xy, yx, yy):
    cx, cy = image.shape[1] / 2 - 0.5, image.shape[0] / 2 - 0.5
    return warp(image, [[xx, xy, cx - xx * cx - xy * cy], [yx, yy, cy - yx * cx - yy * cy]])


def rotate(image, degrees):
    """Rotates about the centre, clockwise."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return warp_about_centre(image, cos, -sin, sin, cos)


def shear(image, degrees):
    """Turns vertical lines by an angle, about the centre; they keep their length."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return warp_about_centre(image, 1.0, -sin, 0.0, cos)


def translate(image, x=0.0, y=0.0):
    """Shifts by parts of the width and of the height."""
    return warp(image, [[1.0, 0.0, x * image.shape[1]], [0.0, 1.0, y * image.shape[0]]])


def blend_with_filtered(image, alpha, kernel):
    """(1 - alpha) the image plus alpha its correlation with a 3 x 3 kernel, mirrored at the edges."""
    identity = np.zeros((3, 3), np.float32)
    identity[1, 1] = 1
    alpha = np.float32(alpha)
    kernel = (1 - alpha) * identity + alpha * np.array(kernel, np.float32)
    return cv2.filter2D(image, -1, kernel).reshape(image.shape)


def sharpen(image, alpha, lightness):
    """Blends with a sharpened image; a lightness of 1 keeps the brightness."""
    return blend_with_filtered(image, alpha, [[-1, -1, -1], [-1, 8 + lightness, -1], [-1, -1, -1]])


def emboss(image, alpha, strength):
    """Blends with an embossed image, lit from the upper left."""
    s = strength
    return blend_with_filtered(image, alpha, [[-1 - s, -s, 0], [-s, 1, s], [0, s, 1 + s]])


def gaussian_noise(image, sd, rng):
    """Adds noise: half the time to each channel by itself, otherwise the same to all channels."""
    channels = image.shape[2] if rng.random() < 0.5 else 1
    noise = np.rint(rng.normal(0.0, sd, image.shape[:2] + (channels,)))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def dropout(image, p, rng):
    """Sets pixels to 0: half the time each channel by itself."""
    channels = image.shape[2] if rng.random() < 0.5 else 1
    return np.where(rng.random(image.shape[:2] + (channels,)) < p, 0, image).astype(np.uint8)


def grid(image, make, cells, parts):
    """Enlarges make(rows, columns) to the size of the image.

    There are as many rows and columns as `cells` says, or `parts` of the pixels of the sides, at least 3.
    """
    if cells is None:
        cells = [max(int(part * side), 3) for part, side in zip(parts, image.shape[:2])]
    rows, columns = (np.arange(side) * n // side for side, n in zip(image.shape[:2], cells))
    return make(*cells)[rows][:, columns]


def coarse_dropout(image, p, rng, cells=None, parts=None):
    """Sets cells of a coarse grid to 0: a fifth of the time each channel by itself."""
    channels = image.shape[2] if rng.random() < 0.2 else 1
    dropped = grid(image, lambda *sides: rng.random((*sides, channels)) < p, cells, parts)
    return np.where(dropped, 0, image).astype(np.uint8)


def coarse_salt_pepper(image, p, rng, cells=None, parts=None):
    """Replaces cells of a coarse grid by grey pixels, most of them nearly black or white."""
    replaced = grid(image, lambda *sides: rng.random((*sides, 1)) < p, cells, parts)
    pixels = np.rint(255 * rng.beta(0.5, 0.5, image.shape[:2] + (1,)))
    return np.where(replaced, pixels, image).astype(np.uint8)


def gamma_contrast(image, gamma):
    """255 (v / 255) ^ gamma, rounded down."""
    power = np.power(np.arange(256) / 255.0, np.float64(np.float32(gamma)))
    return lookup(image, (power.astype(np.float32) * np.float32(255)).astype(np.uint8))


def brighten(image, low, high, rng):
    """Adds a number between low and high to all values, or half the time one to each channel."""
    added = rng.uniform(low, high, image.shape[2] if rng.random() < 0.5 else 1)
    return np.clip(image + np.rint(added), 0, 255).astype(np.uint8)


def invert(image):
    return 255 - image


def hue_and_saturation(image, hue=None, saturation=None, both=None):
    """Adds to hue and saturation in HSV, of 255; leaves images of one channel as they are.

    Images go through HSV if both are given as one number, and otherwise only if there is something to add.
    """
    hue, saturation = (half_away(shift) for shift in ((hue, saturation) if both is None else (both, both)))
    if image.shape[2] != 3 or (both is None and hue == saturation == 0):
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int32)
    # OpenCV's hue has 180 steps.
    turn = int(np.float32(hue) / np.float32(255) * np.float32(180))
    hsv[..., 0] = (hsv[..., 0] + turn) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] + saturation, 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def noise_map(rows, columns, cells, exponent, rng):
    """Noise from 0 to 1 whose amplitudes go as a power of the frequency, on a coarse grid, enlarged."""
    scale = min(min(cells, 64) / max(rows, columns), 1.0)
    grid_rows, grid_columns = (max(int(side * scale), 4) for side in (rows, columns))
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in (grid_rows, grid_columns))
    frequency = np.sqrt(y[:, None] ** 2 + x**2)
    frequency[0, 0] = 1
    amplitude = rng.random(frequency.shape) * frequency**exponent
    amplitude[0, 0] = 0
    angle = 2 * np.pi * rng.random(frequency.shape)
    # That the imaginary part carries the cosine as well is imgaug's way.
    spectrum = amplitude * np.cos(angle) * (1 + 1j * np.sin(angle))
    noise = np.fft.ifft2(spectrum).real
    noise = (noise - noise.min()) / (np.ptp(noise) or 1.0)
    noise = cv2.resize(noise.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.clip(noise, 0, 1)


def cloud_layer(image, opacity, layer, rng):
    """Covers with a bright layer whose intensity and opacity vary, as imgaug's CloudLayer does."""
    rows, columns = image.shape[:2]
    mean = rng.uniform(*layer["intensity_mean"])
    coarse = rng.normal(mean, layer["intensity_coarse_sd"], (8, 8)).astype(np.float32)
    coarse = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    fine = noise_map(rows, columns, 64, rng.uniform(*layer["intensity_exponent"]), rng)
    intensity = np.clip(coarse + mean * (2 * fine - 1) / 5, 0, 255)
    fewest, most = layer["alpha_cells"]
    cells = rng.integers(fewest, most + 1)
    alpha = noise_map(rows, columns, cells, rng.uniform(*layer["alpha_exponent"]), rng)
    alpha = rng.uniform(*layer["alpha_min"]) + rng.uniform(*layer["alpha_multiplier"]) * alpha
    alpha = alpha ** rng.uniform(*layer["sparsity"]) * rng.uniform(*layer["density"])
    alpha = (opacity * np.clip(alpha, 0, 1))[..., None]
    return np.clip((1 - alpha) * image + alpha * intensity[..., None], 0, 255).astype(np.uint8)


FOG = {
    "intensity_mean": (220, 255),
    "intensity_exponent": (-2.0, -1.5),
    "intensity_coarse_sd": 2,
    "alpha_min": (0.7, 0.9),
    "alpha_multiplier": (0.3, 0.3),
    "alpha_cells": (2, 8),
    "alpha_exponent": (-4.0, -2.0),
    "sparsity": (0.9, 0.9),
    "density": (0.4, 0.9),
}


LARGE_CLOUDS = {
    "intensity_mean": (196, 255),
    "intensity_exponent": (-2.5, -2.0),
    "intensity_coarse_sd": 10,
    "alpha_min": (0.0, 0.0),
    "alpha_multiplier": (0.25, 0.75),
    "alpha_cells": (2, 8),
    "alpha_exponent": (-2.5, -2.0),
    "sparsity": (0.8, 1.0),
    "density": (0.5, 1.0),
}


SMALL_CLOUDS = {
    "intensity_mean": (196, 255),
    "intensity_exponent": (-2.0, -1.0),
    "intensity_coarse_sd": 10,
    "alpha_min": (0.0, 0.0),
    "alpha_multiplier": (0.5, 1.0),
    "alpha_cells": (64, 128),
    "alpha_exponent": (-2.0, -1.0),
    "sparsity": (1.0, 1.4),
    "density": (0.8, 1.5),
}


def fog(image, opacity, rng):
    """Covers with fog."""
    return cloud_layer(image, opacity, FOG, rng)


def clouds(image, opacity, rng):
    """Covers with large clouds, small ones or both."""
    both, large = rng.random() < 0.5, rng.random() < 0.5
    if both or large:
        image = cloud_layer(image, opacity, LARGE_CLOUDS, rng)
    if both or not large:
        image = cloud_layer(image, opacity, SMALL_CLOUDS, rng)
    return image


def horizontal_flip(image):
    return np.ascontiguousarray(image[:, ::-1])


def vertical_flip(image):
    return np.ascontiguousarray(image[::-1])


def nearest(image, xx, xy, x, yx, yy, y):
    """Takes the pixel at (x, y) from the matrix times (x + 1/2, y + 1/2, 1); black outside.

    The positions have 16 fractional bits, as in Pillow's transform with NEAREST.
    """
    rows, columns = image.shape[:2]

    def positions(a, b, c, size):
        a, b, start = (math.floor(v * 65536 + 0.5) for v in (a, b, c + a * 0.5 + b * 0.5))
        return np.clip((start + a * np.arange(columns) + b * np.arange(rows)[:, None]) >> 16, -1, size) + 1

    at_x, at_y = positions(xx, xy, x, columns), positions(yx, yy, y, rows)
    return np.pad(image, ((1, 1), (1, 1), (0, 0)))[at_y, at_x]


def shear_nearest(image, x=0.0, y=0.0):
    """Shears by slopes about the upper left corner."""
    return nearest(image, 1.0, x, 0.0, y, 1.0, 0.0)


def translate_nearest(image, x=0.0, y=0.0, pixels_x=0.0, pixels_y=0.0):
    """Shifts by whole pixels, or by parts of the width and of the height rounded to them."""
    x, y = half_away(x * image.shape[1] + pixels_x), half_away(y * image.shape[0] + pixels_y)
    return nearest(image, 1.0, 0.0, -x, 0.0, 1.0, -y)


def rotate_nearest(image, degrees):
    """Rotates about the centre, counter-clockwise."""
    angle = -math.radians(degrees)
    sin, cos = round(math.sin(angle), 15), round(math.cos(angle), 15)
    cx, cy = image.shape[1] / 2, image.shape[0] / 2
    return nearest(image, cos, sin, cx - cos * cx - sin * cy, -sin, cos, cy + sin * cx - cos * cy)


def each_channel(image, table_of):
    """Looks each channel's values up in the table made from its histogram."""
    channels = [image[..., c] for c in range(image.shape[2])]
    tables = [table_of(np.bincount(channel.ravel(), minlength=256)) for channel in channels]
    return np.stack([lookup(channel, table) for channel, table in zip(channels, tables)], axis=-1)


def auto_contrast(image):
    """Stretches each channel to the full range, as Pillow does."""

    def table_of(counts):
        low, high = np.flatnonzero(counts)[[0, -1]]
        scale = 255.0 / max(high - low, 1)
        stretched = np.clip(np.arange(256) * scale - low * scale, 0, 255)
        return stretched if low < high else np.arange(256)

    return each_channel(image, table_of)


def equalize(image):
    """Makes the values of each channel about equally frequent, as Pillow does."""

    def table_of(counts):
        step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
        if step == 0:
            return np.arange(256)
        return np.minimum((step // 2 + np.cumsum(counts) - counts) // step, 255)

    return each_channel(image, table_of)


def solarize(image, threshold):
    """Inverts the values from the threshold on."""
    return np.where(image < threshold, image, 255 - image)


def posterize(image, bits):
    """Keeps the upper bits."""
    return image & np.uint8((0xFF00 >> half_away(bits)) & 0xFF)


def grey_of(image):
    """Pillow's grey, height x width x 1."""
    if image.shape[2] != 3:
        return image
    red, green, blue = (image[..., c].astype(np.int32) for c in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)[..., None]


def away_from(image, without, factor):
    """Pillow's enhancement: factor 0 is the image without a quality, 1 the image, above 1 more of it."""
    image, without = image.astype(np.float32), np.asarray(without, np.float32)
    return np.clip(without + np.float32(factor) * (image - without), 0, 255).astype(np.uint8)


def contrast(image, factor):
    """Away from the mean grey."""
    return away_from(image, math.floor(grey_of(image).mean(dtype=np.float64) + 0.5), factor)


def saturation(image, factor):
    """Away from the grey image; leaves images of one channel as they are."""
    return away_from(image, grey_of(image), factor)


def brightness(image, factor):
    """Away from black."""
    return away_from(image, 0, factor)


def sharpness(image, factor):
    """Away from the smoothed image, whose outermost pixels stay."""
    rows, columns = image.shape[:2]
    if min(rows, columns) < 3:
        return image
    wide = image.astype(np.int32)
    total = sum(wide[y : rows - 2 + y, x : columns - 2 + x] for y in range(3) for x in range(3))
    smooth = image.copy()
    smooth[1:-1, 1:-1] = (2 * (total + 4 * wide[1:-1, 1:-1]) + 13) // 26
    return away_from(image, smooth, factor)


def cutout(image, part, rng):
    """Covers a square with mid-grey; its side is a part of the shorter side, its centre a random pixel."""
    side = half_away(part * shorter_side(image))
    y, x = rng.integers(image.shape[0]), rng.integers(image.shape[1])
    image = image.copy()
    top, left = max(y - side // 2, 0), max(x - side // 2, 0)
    image[top : y + (side + 1) // 2, left : x + (side + 1) // 2] = 128
    return image


def finish(image, pad, flip, square, rng):
    """Shifts into a black margin, mirrors half of the images, covers a square: parts of the shorter side."""
    margin = half_away(pad * shorter_side(image))
    x, y = rng.integers(-margin, margin + 1), rng.integers(-margin, margin + 1)
    image = translate_nearest(image, pixels_x=x, pixels_y=y)
    if flip and rng.random() < 0.5:
        image = horizontal_flip(image)
    return cutout(image, square, rng) if square else image
