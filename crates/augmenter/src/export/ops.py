"""Ops on uint8 arrays of height x width x channels, shared by all libraries."""

import math

import numpy as np
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageFilter
from PIL import ImageOps


def half_away(x):
    """The nearest whole number; halves go away from 0."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def crop(image, rng, pixels=None, parts=None):
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
    return resized(np.ascontiguousarray(image[top : rows - bottom, left : columns - right]), rows, columns)


def gaussian_blur(image, rng, sigma=None, part=None):
    """Blurs with a standard deviation in pixels, or as a part of the shorter side; mirrored at the edges."""
    sigma = part * min(image.shape[:2]) if sigma is None else sigma
    size = (3.3 if sigma < 3 else 2.9 if sigma < 5 else 2.6) * sigma
    return blurred(image, sigma, int(max(size, 5)) // 2) if sigma > 1e-3 else image


def warp(image, xx=1.0, xy=0.0, yy=1.0, yx=0.0, shift=None, edge=False):
    """Moves (x, y) to the matrix times (x, y), about the centre unless shifted; bilinear, black outside or its edge.

    The positions are rounded to 1/32 pixel, as warpAffine of OpenCV 4 does; that of OpenCV 5 does not.
    """
    rows, columns = image.shape[:2]
    cx, cy = columns / 2 - 0.5, rows / 2 - 0.5
    x0, y0 = shift or (cx - xx * cx - xy * cy, cy - yx * cx - yy * cy)
    determinant = xx * yy - xy * yx
    scale = 1.0 / determinant if determinant != 0 else 0.0
    xx, xy, yx, yy = yy * scale, -xy * scale, -yx * scale, xx * scale
    x0, y0 = -xx * x0 - xy * y0, -yx * x0 - yy * y0

    def positions(a, b, c):
        x = np.rint(a * np.arange(columns) * 1024)
        y = np.rint((b * np.arange(rows) + c) * 1024)
        return np.clip(x + y[:, None] + 16, -(2**29), 2**29).astype(np.int32) >> 5

    return taken(image, positions(xx, xy, x0), positions(yx, yy, y0), edge)


def rotate(image, rng, degrees, edge=False):
    """Rotates about the centre, clockwise."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return warp(image, cos, -sin, cos, sin, edge=edge)


def shear(image, rng, degrees, edge=False):
    """Turns vertical lines by an angle, about the centre; they keep their length."""
    return warp(image, 1.0, -math.sin(math.radians(degrees)), math.cos(math.radians(degrees)), edge=edge)


def sampled(image, x, y, edge):
    """The pixels at positions, which are rounded to 32nds."""
    x, y = (np.clip(np.rint(each * 1024) + 16, -(2**29), 2**29).astype(np.int32) >> 5 for each in (x, y))
    return taken(image, x, y, edge)


def swirl(image, rng, radians, edge=False):
    """Twists about the centre by an angle that falls with the distance."""
    rows, columns = image.shape[:2]
    x, y = np.arange(columns) - (columns / 2 - 0.5), np.arange(rows)[:, None] - (rows / 2 - 0.5)
    angle = radians * np.exp(-np.sqrt(x * x + y * y) / (20 * math.log(2) / 32 * min(rows, columns)))
    sin, cos = np.sin(angle), np.cos(angle)
    return sampled(image, columns / 2 - 0.5 + cos * x - sin * y, rows / 2 - 0.5 + sin * x + cos * y, edge)


def elastic(image, rng, part, edge=False):
    """Bends by cubic B-splines over five cells a side, whose coefficients deviate by a part of the shorter side."""

    def basis(side):
        at, matrix = (np.arange(side) + 0.5) * 5 / side, np.zeros((side, 8))
        cell = at.astype(int)
        t = (at - cell)[:, None]
        weights = [(1 - t) ** 3, (3 * t - 6) * t * t + 4, ((-3 * t + 3) * t + 3) * t + 1, t**3]
        matrix[np.arange(side)[:, None], cell[:, None] + np.arange(4)] = np.hstack(weights) / 6
        return matrix

    rows, columns = image.shape[:2]
    x, y = basis(rows) @ rng.normal(0.0, part * min(rows, columns), (2, 8, 8)) @ basis(columns).T
    return sampled(image, np.arange(columns) + x, np.arange(rows)[:, None] + y, edge)


def blend_with_filtered(image, alpha, kernel):
    """(1 - alpha) the image plus alpha its correlation with a 3 x 3 kernel, mirrored at the edges."""
    identity, alpha = np.float32([[0, 0, 0], [0, 1, 0], [0, 0, 0]]), np.float32(alpha)
    return filtered(image, (1 - alpha) * identity + alpha * np.array(kernel, np.float32))


def sharpen(image, rng, alpha, lightness):
    """Blends with a sharpened image; a lightness of 1 keeps the brightness."""
    return blend_with_filtered(image, alpha, [[-1, -1, -1], [-1, 8 + lightness, -1], [-1, -1, -1]])


def emboss(image, rng, alpha, strength):
    """Blends with an embossed image, lit from the upper left."""
    s = strength
    return blend_with_filtered(image, alpha, [[-1 - s, -s, 0], [-s, 1, s], [0, s, 1 + s]])


def layers(image, rng, p):
    """Height, width, and with probability p the number of channels, otherwise 1: what is drawn for all of them."""
    return image.shape[:2] + (image.shape[2] if rng.random() < p else 1,)


def gaussian_noise(image, rng, sd):
    """Adds noise: half the time to each channel by itself, otherwise the same to all channels."""
    return np.clip(image + np.rint(rng.normal(0.0, sd, layers(image, rng, 0.5))), 0, 255).astype(np.uint8)


def dropout(image, rng, p):
    """Sets pixels to 0: half the time each channel by itself."""
    return np.where(rng.random(layers(image, rng, 0.5)) < p, 0, image).astype(np.uint8)


def grid(image, rng, p, channels, cells, parts):
    """Where cells of a coarse grid of so many rows and columns, or parts of the pixels, are drawn."""
    cells = cells or [max(int(part * side), 3) for part, side in zip(parts, image.shape[:2])]
    rows, columns = (np.arange(side) * n // side for side, n in zip(image.shape[:2], cells))
    return (rng.random((*cells, channels)) < p)[rows][:, columns]


def coarse_dropout(image, rng, p, cells=None, parts=None):
    """Sets cells of a coarse grid to 0: a fifth of the time each channel by itself."""
    dropped = grid(image, rng, p, layers(image, rng, 0.2)[2], cells, parts)
    return np.where(dropped, 0, image).astype(np.uint8)


def coarse_salt_pepper(image, rng, p, cells=None, parts=None):
    """Replaces cells of a coarse grid by grey pixels, most of them nearly black or white."""
    pixels = np.rint(255 * rng.beta(0.5, 0.5, image.shape[:2] + (1,)))
    return np.where(grid(image, rng, p, 1, cells, parts), pixels, image).astype(np.uint8)


def gamma_contrast(image, rng, gamma, exponent=1.0):
    """255 (v / 255) ^ gamma, rounded down; gamma is raised to the exponent first."""
    power = np.power(np.arange(256) / 255.0, np.float64(np.float32(gamma**exponent)))
    return (power.astype(np.float32) * np.float32(255)).astype(np.uint8)[image]


def brighten(image, rng, added):
    """Adds the first number to all values, or half the time one number to each channel."""
    added = np.rint(added[: layers(image, rng, 0.5)[2]])
    return np.clip(image + added, 0, 255).astype(np.uint8)


def hue_and_saturation(image, rng, shifts=None, both=None):
    """Adds to hue and saturation in HSV, of 255; leaves images of one channel as they are.

    Images go through HSV if both are given as one number, and otherwise only if there is something to add.
    """
    hue, saturation = (half_away(shift) for shift in (shifts if both is None else (both, both)))
    if image.shape[2] != 3 or (both is None and hue == saturation == 0):
        return image
    # OpenCV's hue of uint8 images has 180 steps.
    return hsv_shifted(image, int(np.float32(hue) / np.float32(255) * np.float32(180)), saturation)


def noise_map(rows, columns, cells, exponent, rng):
    """Noise from 0 to 1 whose amplitudes go as a power of the frequency, on a coarse grid, enlarged."""
    scale = min(min(cells, 64) / max(rows, columns), 1.0)
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in (max(int(s * scale), 4) for s in (rows, columns)))
    frequency = np.sqrt(y[:, None] ** 2 + x**2)
    frequency[0, 0] = 1
    amplitude = rng.random(frequency.shape) * frequency**exponent
    amplitude[0, 0] = 0
    angle = 2 * np.pi * rng.random(frequency.shape)
    # That the imaginary part carries the cosine as well is imgaug's way.
    noise = np.fft.ifft2(amplitude * np.cos(angle) * (1 + 1j * np.sin(angle))).real
    noise = (noise - noise.min()) / (np.ptp(noise) or 1.0)
    return np.clip(enlarged(noise.astype(np.float32), rows, columns), 0, 1)


def cloud_layer(image, rng, opacity, mean, sd, fine, cells, coarse, least, factor, sparsity, density):
    """Covers with a bright layer whose intensity and opacity vary, as imgaug's CloudLayer does."""
    (rows, columns), mean = image.shape[:2], rng.uniform(*mean)
    intensity = enlarged(rng.normal(mean, sd, (8, 8)).astype(np.float32), rows, columns)
    intensity = intensity + mean * (2 * noise_map(rows, columns, 64, rng.uniform(*fine), rng) - 1) / 5
    alpha = noise_map(rows, columns, rng.integers(*cells, endpoint=True), rng.uniform(*coarse), rng)
    alpha = (rng.uniform(*least) + rng.uniform(*factor) * alpha) ** rng.uniform(*sparsity) * rng.uniform(*density)
    alpha = (opacity * np.clip(alpha, 0, 1))[..., None]
    return np.clip((1 - alpha) * image + alpha * np.clip(intensity, 0, 255)[..., None], 0, 255).astype(np.uint8)


LAYERS = {
    "fog": ((220, 255), 2, (-2.0, -1.5), (2, 8), (-4.0, -2.0), (0.7, 0.9), (0.3, 0.3), (0.9, 0.9), (0.4, 0.9)),
    "large": ((196, 255), 10, (-2.5, -2.0), (2, 8), (-2.5, -2.0), (0.0, 0.0), (0.25, 0.75), (0.8, 1.0), (0.5, 1.0)),
    "small": ((196, 255), 10, (-2.0, -1.0), (64, 128), (-2.0, -1.0), (0.0, 0.0), (0.5, 1.0), (1.0, 1.4), (0.8, 1.5)),
}


def clouds(image, rng, opacity):
    """Covers with large clouds, small ones or both."""
    for layer in (["large"], ["small"], ["large", "small"], ["large", "small"])[rng.integers(4)]:
        image = cloud_layer(image, rng, opacity, *LAYERS[layer])
    return image


def pillow(image, function):
    """What a function of Pillow makes of the image."""
    return np.array(function(Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image))).reshape(image.shape)


def affine(image, *matrix):
    """Takes the nearest pixel at the matrix times (x, y, 1); black outside."""
    return pillow(image, lambda i: i.transform(i.size, Image.Transform.AFFINE, matrix))


def blend_with_extreme(image, weight, extreme):
    """Blends with the darkest or brightest pixels around: 1 pixel to each side of 32, and as much of larger images."""
    size = 2 * max(half_away(min(image.shape[:2]) / 32), 1) + 1
    return pillow(image, lambda i: Image.blend(i, i.filter(extreme(size)), weight))


def translate_nearest(image, rng, x=0.0, y=0.0, pixels_x=0.0, pixels_y=0.0):
    """Shifts by whole pixels, or by parts of the width and of the height rounded to them."""
    x, y = half_away(x * image.shape[1] + pixels_x), half_away(y * image.shape[0] + pixels_y)
    return affine(image, 1, 0, -x, 0, 1, -y)


def cutout(image, rng, part):
    """Covers a square with mid-grey; its side is a part of the shorter side, its centre a random pixel."""
    side = half_away(part * min(image.shape[:2]))
    y, x = rng.integers(image.shape[0]), rng.integers(image.shape[1])
    image = image.copy()
    top, left = max(y - side // 2, 0), max(x - side // 2, 0)
    image[top : y + (side + 1) // 2, left : x + (side + 1) // 2] = 128
    return image


def finish(image, rng, pad, flip, square):
    """Shifts into a black margin, mirrors half of the images, covers a square: parts of the shorter side."""
    margin = half_away(pad * min(image.shape[:2]))
    x, y = rng.integers(-margin, margin + 1), rng.integers(-margin, margin + 1)
    image = translate_nearest(image, rng, pixels_x=x, pixels_y=y)
    if flip and rng.random() < 0.5:
        image = image[:, ::-1]
    return cutout(image, rng, square) if square else image


OPS = {
    "crop": crop,
    "gaussian_blur": gaussian_blur,
    "rotate": rotate,
    "shear": shear,
    "translate": lambda image, rng, x=0.0, y=0.0, **k: warp(image, shift=(x * image.shape[1], y * image.shape[0]), **k),
    "sharpen": sharpen,
    "emboss": emboss,
    "gaussian_noise": gaussian_noise,
    "dropout": dropout,
    "coarse_dropout": coarse_dropout,
    "coarse_salt_pepper": coarse_salt_pepper,
    "gamma_contrast": gamma_contrast,
    "brighten": brighten,
    "invert": lambda image, rng: 255 - image,
    "fog": lambda image, rng, opacity: cloud_layer(image, rng, opacity, *LAYERS["fog"]),
    "clouds": clouds,
    "hue_and_saturation": hue_and_saturation,
    "horizontal_flip": lambda image, rng: image[:, ::-1],
    "vertical_flip": lambda image, rng: image[::-1],
    "shear_nearest": lambda image, rng, x=0.0, y=0.0: affine(image, 1, x, 0, y, 1, 0),
    "translate_nearest": translate_nearest,
    "rotate_nearest": lambda image, rng, degrees: pillow(image, lambda i: i.rotate(degrees)),
    "auto_contrast": lambda image, rng: pillow(image, ImageOps.autocontrast),
    "equalize": lambda image, rng: pillow(image, ImageOps.equalize),
    "solarize": lambda image, rng, threshold: np.where(image < threshold, image, 255 - image),
    "posterize": lambda image, rng, bits: image & np.uint8((0xFF00 >> half_away(bits)) & 0xFF),
    "contrast": lambda image, rng, factor: pillow(image, lambda i: ImageEnhance.Contrast(i).enhance(factor)),
    "saturation": lambda image, rng, factor: pillow(image, lambda i: ImageEnhance.Color(i).enhance(factor)),
    "brightness": lambda image, rng, factor: pillow(image, lambda i: ImageEnhance.Brightness(i).enhance(factor)),
    "sharpness": lambda image, rng, factor: pillow(image, lambda i: ImageEnhance.Sharpness(i).enhance(factor)),
    "cutout": cutout,
    "zoom": lambda image, rng, factor, edge=False: warp(image, factor, 0.0, factor, edge=edge),
    "swirl": swirl,
    "elastic": elastic,
    "erode": lambda image, rng, weight: blend_with_extreme(image, weight, ImageFilter.MinFilter),
    "dilate": lambda image, rng, weight: blend_with_extreme(image, weight, ImageFilter.MaxFilter),
    "finish": finish,
}


def drawn(value, rng):
    """(low, high): a number between them; a list or range: one of its elements; a tuple of those: each by itself."""
    if isinstance(value, tuple):
        return rng.uniform(*value) if isinstance(value[0], float) else [drawn(each, rng) for each in value]
    return value[rng.integers(len(value))] if isinstance(value, (list, range)) else value


def run(image, steps, rng):
    """Applies (op, probability, numbers) one after another to a uint8 array of height x width x channels."""
    for op, probability, numbers in steps:
        if rng.random() < probability:
            image = OPS[op](image, rng, **{name: drawn(value, rng) for name, value in numbers.items()})
            image = np.ascontiguousarray(image)
    return image


def some(image, policy, rng):
    """Tries the sub-policies in random order, each with its probability, until a drawn number has been applied."""
    left = rng.choice(len(policy["counts"]), p=policy["counts"])
    for i in rng.permutation(len(policy["sub_policies"])):
        [(op, probability, numbers)] = policy["sub_policies"][i]
        if left > 0 and rng.random() < probability:
            image, left = run(image, [(op, 1.0, numbers)], rng), left - 1
    return image


def augment(image, rng, chance=None):
    """Applies one of the policies with its own chance or another, then the finish."""
    policy = POLICIES[rng.integers(len(POLICIES))]
    if rng.random() < (policy["chance"] if chance is None else chance):
        for _ in range(policy["draws"]):
            image = run(image, policy["sub_policies"][rng.integers(len(policy["sub_policies"]))], rng)
        image = run(image, policy["always"], rng)
    return run(image, FINISH, rng)


class Scheduled:
    """The policy changes during training: call set_epoch before each epoch, before a DataLoader starts its workers.

    Workers that persist keep the policy that they started with.
    """

    policies = POLICIES[:1]

    def set_epoch(self, epoch, epochs=sum(EPOCHS)):
        """Takes the policy of an epoch, counted from 0, in a training of so many epochs."""
        at, ends = epoch * sum(EPOCHS) // epochs, np.cumsum(EPOCHS)
        self.policies = [POLICIES[min(int(np.searchsorted(ends, at, side="right")), len(EPOCHS) - 1)]]
