"""Image augmentation for torchvision, written by `deepaug export`.

<policy>

<meaning>

    from torchvision.transforms import v2

    transform = v2.Compose([DeepaugPolicy(), v2.ToDtype(torch.float32, scale=True)])

Takes uint8 tensors of channels x height x width with 1 or 3 channels, on the CPU, or PIL images of mode L or
RGB, and returns the same kind. Random numbers come from torch.
"""

import math

import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as TF


class Random:
    """Random numbers from a generator of torch; from its default one if that is None."""

    def __init__(self, generator=None):
        self.generator = generator

    def random(self, size=()):
        """Uniform from 0 to 1; a number, or a tensor of a size."""
        numbers = torch.rand(size, generator=self.generator)
        return numbers if numbers.dim() else numbers.item()

    def uniform(self, low, high, size=()):
        return low + (high - low) * self.random(size)

    def integers(self, low, high, size=()):
        """Whole numbers from low to high - 1."""
        numbers = torch.randint(low, high, size if size == () else (size,), generator=self.generator)
        return numbers if numbers.dim() else numbers.item()

    def choice(self, values):
        return values[self.integers(0, len(values))]

    def normal(self, mean, sd, size):
        return mean + sd * torch.randn(size, generator=self.generator)


def half_away(x):
    """The nearest whole number; halves go away from 0."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def shorter_side(image):
    return min(image.shape[-2:])


def mirrored(radius, n):
    """The indices from -radius to n - 1 + radius in a line of n, mirrored about its end pixels."""
    i = torch.arange(-radius, n + radius) % max(2 * (n - 1), 1)
    return torch.minimum(i, 2 * (n - 1) - i)


def lookup(image, table):
    """table[v] for every value v."""
    return table.to(torch.uint8)[image.long()]


def crop(image, pixels=None, parts=None):
    """Cuts (top, right, bottom, left) off, in pixels or parts of the side, and resizes to the old size.

    The resize is OpenCV's INTER_AREA: pixels keep their extent, and only those that straddle two are blended.
    """
    rows, columns = image.shape[-2:]
    if parts is not None:
        pixels = [half_away(float(part) * side) for part, side in zip(parts, (rows, columns, rows, columns))]
    top, right, bottom, left = (int(cut) for cut in pixels)

    def leave_one(n, start, end):
        excess = max(start + end + 1 - n, 0)
        from_start = min(max((excess + 1) // 2, excess - end), start)
        return start - from_start, end - (excess - from_start)

    def taps(start, n, to):
        """Source positions, and the weights of the next ones in 2048ths."""
        x = torch.arange(to, dtype=torch.float64)
        inverse = to / n
        at = (x * (1.0 / inverse)).floor()
        weight = (x + 1 - (at + 1) * inverse).float()
        weight = torch.where(weight <= 0, 0.0, weight - weight.floor())
        at, weight = at.long(), (weight * 2048).round().long()
        weight[at + 1 >= n] = 0
        at = at.clamp(max=n - 1)
        return start + at, start + (at + 1).clamp(max=n - 1), weight

    top, bottom = leave_one(rows, top, bottom)
    right, left = leave_one(columns, right, left)
    if top + bottom + right + left == 0:
        return image
    here, there, weight = taps(left, columns - left - right, columns)
    wide = image[..., here].long() * (2048 - weight) + image[..., there].long() * weight
    here, there, weight = taps(top, rows - top - bottom, rows)
    weight = weight[:, None]
    upper, lower = wide[:, here] >> 4, wide[:, there] >> 4
    return ((((2048 - weight) * upper >> 16) + (weight * lower >> 16) + 2) >> 2).to(torch.uint8)


def gaussian_blur(image, sigma=None, part=None):
    """Blurs with a standard deviation in pixels, or as a part of the shorter side; mirrored at the edges.

    The weights are whole 256ths, as in OpenCV's blur of uint8 images.
    """
    sigma = part * shorter_side(image) if sigma is None else sigma
    if sigma <= 1e-3:
        return image
    size = (3.3 if sigma < 3 else 2.9 if sigma < 5 else 2.6) * sigma
    radius = int(max(size, 5)) // 2
    half = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius, 0, -1)]
    total, carried = 1.0 + 2.0 * sum(half), 0.0
    for i, weight in enumerate(half):
        exact = 256.0 * weight / total + carried
        half[i] = round(exact)
        carried = exact - half[i]
    kernel = torch.tensor(half + [256 - 2 * sum(half)] + half[::-1], dtype=torch.float64)
    rows, columns = (mirrored(radius, n) for n in image.shape[-2:])
    padded = image[:, rows][:, :, columns].double()[:, None]
    summed = F.conv2d(F.conv2d(padded, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1))
    return ((summed[:, 0] + 2**15) / 2**16).floor().to(torch.uint8)


def warp(image, matrix):
    """Moves (x, y) to matrix times (x, y, 1); bilinear, black outside.

    The positions are rounded to 1/32 pixel, as in OpenCV's warpAffine.
    """
    rows, columns = image.shape[-2:]
    (xx, xy, x0), (yx, yy, y0) = matrix
    determinant = xx * yy - xy * yx
    scale = 1.0 / determinant if determinant != 0 else 0.0
    xx, xy, yx, yy = yy * scale, -xy * scale, -yx * scale, xx * scale
    x0, y0 = -xx * x0 - xy * y0, -yx * x0 - yy * y0

    def positions(a, b, c, size):
        x = (a * torch.arange(columns, dtype=torch.float64) * 1024).round()
        y = ((b * torch.arange(rows, dtype=torch.float64) + c) * 1024).round()
        at = (x + y[:, None] + 16).clamp(-(2**29), 2**29).long() >> 5
        return (at >> 5).clamp(-2, size) + 2, at & 31

    (x, right), (y, lower) = positions(xx, xy, x0, columns), positions(yx, yy, y0, rows)
    source = F.pad(image, (2, 2, 2, 2)).long()
    upper_row = (32 - right) * source[:, y, x] + right * source[:, y, x + 1]
    lower_row = (32 - right) * source[:, y + 1, x] + right * source[:, y + 1, x + 1]
    return (((32 - lower) * upper_row + lower * lower_row + 512) >> 10).to(torch.uint8)


def warp_about_centre(image, xx, xy, yx, yy):
    cx, cy = image.shape[-1] / 2 - 0.5, image.shape[-2] / 2 - 0.5
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
    return warp(image, [[1.0, 0.0, x * image.shape[-1]], [0.0, 1.0, y * image.shape[-2]]])


def blend_with_filtered(image, alpha, kernel):
    """(1 - alpha) the image plus alpha its correlation with a 3 x 3 kernel, mirrored at the edges."""
    identity = torch.zeros(3, 3)
    identity[1, 1] = 1
    alpha = torch.tensor(alpha, dtype=torch.float32)
    kernel = (1 - alpha) * identity + alpha * torch.tensor(kernel, dtype=torch.float32)
    rows, columns = image.shape[-2:]
    padded = image[:, mirrored(1, rows)][:, :, mirrored(1, columns)].float()
    # One product after another: the order of the sum decides how ties are rounded.
    total = kernel[0, 0] * padded[:, :rows, :columns]
    for i in range(1, 9):
        y, x = divmod(i, 3)
        total = total + kernel[y, x] * padded[:, y : y + rows, x : x + columns]
    return total.round().clamp(0, 255).to(torch.uint8)


def sharpen(image, alpha, lightness):
    """Blends with a sharpened image; a lightness of 1 keeps the brightness."""
    return blend_with_filtered(image, alpha, [[-1, -1, -1], [-1, 8 + lightness, -1], [-1, -1, -1]])


def emboss(image, alpha, strength):
    """Blends with an embossed image, lit from the upper left."""
    s = strength
    return blend_with_filtered(image, alpha, [[-1 - s, -s, 0], [-s, 1, s], [0, s, 1 + s]])


def gaussian_noise(image, sd, rng):
    """Adds noise: half the time to each channel by itself, otherwise the same to all channels."""
    channels = image.shape[0] if rng.random() < 0.5 else 1
    noise = rng.normal(0.0, sd, (channels, *image.shape[1:])).round()
    return (image + noise).clamp(0, 255).to(torch.uint8)


def dropout(image, p, rng):
    """Sets pixels to 0: half the time each channel by itself."""
    channels = image.shape[0] if rng.random() < 0.5 else 1
    return torch.where(rng.random((channels, *image.shape[1:])) < p, 0, image)


def grid(image, make, cells, parts):
    """Enlarges make(rows, columns) to the size of the image.

    There are as many rows and columns as `cells` says, or `parts` of the pixels of the sides, at least 3.
    """
    if cells is None:
        cells = [max(int(float(part) * side), 3) for part, side in zip(parts, image.shape[-2:])]
    cells = [int(count) for count in cells]
    rows, columns = (torch.arange(side) * n // side for side, n in zip(image.shape[-2:], cells))
    return make(*cells)[:, rows][:, :, columns]


def coarse_dropout(image, p, rng, cells=None, parts=None):
    """Sets cells of a coarse grid to 0: a fifth of the time each channel by itself."""
    channels = image.shape[0] if rng.random() < 0.2 else 1
    dropped = grid(image, lambda *sides: rng.random((channels, *sides)) < p, cells, parts)
    return torch.where(dropped, 0, image)


def coarse_salt_pepper(image, p, rng, cells=None, parts=None):
    """Replaces cells of a coarse grid by grey pixels, most of them nearly black or white."""
    replaced = grid(image, lambda *sides: rng.random((1, *sides)) < p, cells, parts)
    # 255 times a Beta(1/2, 1/2) variable: the squared sine of a uniform angle.
    pixels = (255 * torch.sin(rng.random((1, *image.shape[1:])) * math.pi / 2) ** 2).round()
    return torch.where(replaced, pixels.to(torch.uint8), image)


def gamma_contrast(image, gamma):
    """255 (v / 255) ^ gamma, rounded down."""
    gamma = torch.tensor(gamma, dtype=torch.float32).double()
    return lookup(image, (torch.arange(256, dtype=torch.float64) / 255.0).pow(gamma).float() * 255.0)


def brighten(image, low, high, rng):
    """Adds a number between low and high to all values, or half the time one to each channel."""
    added = rng.uniform(low, high, (image.shape[0] if rng.random() < 0.5 else 1, 1, 1))
    return (image + added.round()).clamp(0, 255).to(torch.uint8)


def invert(image):
    return TF.invert(image)


def hue_and_saturation(image, hue=None, saturation=None, both=None):
    """Adds to hue and saturation in HSV, of 255; leaves images of one channel as they are.

    Images go through HSV if both are given as one number, and otherwise only if there is something to add.
    HSV is OpenCV's of uint8 images: hue has 180 steps, and grey pixels are red.
    """
    hue, saturation = (half_away(shift) for shift in ((hue, saturation) if both is None else (both, both)))
    if image.shape[0] != 3 or (both is None and hue == saturation == 0):
        return image
    red, green, blue = image.long()
    value = image.amax(0).long()
    spread = value - image.amin(0).long()
    divisor = (255.0 * 4096 / value.clamp(min=1)).round().long()
    s = (spread * divisor + 2048) >> 12
    sector = torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread)
    sector = torch.where(value == red, green - blue, sector)
    divisor = (30.0 * 4096 / spread.clamp(min=1)).round().long()
    h = (sector * divisor + 2048) >> 12

    h = (h + int(torch.tensor(hue, dtype=torch.float32) / 255 * 180)) % 180
    s = (s + saturation).clamp(0, 255).float() * (1 / 255)
    v = value.float() * (1 / 255)
    h = h.float() * (6 / 180)
    n = h.floor()
    part = h - n
    mixes = torch.stack([v, v * (1 - s), v * (1 - s * part), v * (1 - s * (1 - part))])
    mixes = (mixes * 255).round().clamp(0, 255).to(torch.uint8)
    # Which of v, p, q and t is red, green and blue in each of the six sectors.
    order = torch.tensor([[0, 2, 1, 1, 3, 0], [3, 0, 0, 2, 1, 1], [1, 1, 3, 0, 0, 2]])
    return mixes.gather(0, order[:, n.long()])


def enlarged(values, rows, columns):
    return F.interpolate(values[None, None], (rows, columns), mode="bicubic", align_corners=False)[0, 0]


def noise_map(rows, columns, cells, exponent, rng):
    """Noise from 0 to 1 whose amplitudes go as a power of the frequency, on a coarse grid, enlarged."""
    scale = min(min(cells, 64) / max(rows, columns), 1.0)
    sides = (max(int(side * scale), 4) for side in (rows, columns))
    y, x = (torch.minimum(torch.arange(n), n - torch.arange(n)) for n in sides)
    frequency = torch.sqrt((y[:, None] ** 2 + x**2).float())
    frequency[0, 0] = 1
    amplitude = rng.random(frequency.shape) * frequency**exponent
    amplitude[0, 0] = 0
    angle = 2 * math.pi * rng.random(frequency.shape)
    # That the imaginary part carries the cosine as well is imgaug's way.
    real = amplitude * torch.cos(angle)
    noise = torch.fft.ifft2(torch.complex(real, real * torch.sin(angle))).real
    noise = (noise - noise.min()) / (noise.max() - noise.min()).clamp(min=1e-30)
    return enlarged(noise, rows, columns).clamp(0, 1)


def cloud_layer(image, opacity, layer, rng):
    """Covers with a bright layer whose intensity and opacity vary, as imgaug's CloudLayer does."""
    rows, columns = image.shape[-2:]
    mean = rng.uniform(*layer["intensity_mean"])
    coarse = enlarged(rng.normal(mean, layer["intensity_coarse_sd"], (8, 8)), rows, columns)
    fine = noise_map(rows, columns, 64, rng.uniform(*layer["intensity_exponent"]), rng)
    intensity = (coarse + mean * (2 * fine - 1) / 5).clamp(0, 255)
    fewest, most = layer["alpha_cells"]
    cells = rng.integers(fewest, most + 1)
    alpha = noise_map(rows, columns, cells, rng.uniform(*layer["alpha_exponent"]), rng)
    alpha = rng.uniform(*layer["alpha_min"]) + rng.uniform(*layer["alpha_multiplier"]) * alpha
    alpha = alpha ** rng.uniform(*layer["sparsity"]) * rng.uniform(*layer["density"])
    alpha = opacity * alpha.clamp(0, 1)
    return ((1 - alpha) * image + alpha * intensity).clamp(0, 255).to(torch.uint8)


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
    return TF.horizontal_flip(image)


def vertical_flip(image):
    return TF.vertical_flip(image)


def nearest(image, xx, xy, x, yx, yy, y):
    """Takes the pixel at (x, y) from the matrix times (x + 1/2, y + 1/2, 1); black outside.

    The positions have 16 fractional bits, as in Pillow's transform with NEAREST.
    """
    rows, columns = image.shape[-2:]

    def positions(a, b, c, size):
        a, b, start = (math.floor(v * 65536 + 0.5) for v in (a, b, c + a * 0.5 + b * 0.5))
        at = (start + a * torch.arange(columns) + b * torch.arange(rows)[:, None]) >> 16
        return at.clamp(-1, size) + 1

    at_x, at_y = positions(xx, xy, x, columns), positions(yx, yy, y, rows)
    return F.pad(image, (1, 1, 1, 1))[:, at_y, at_x]


def shear_nearest(image, x=0.0, y=0.0):
    """Shears by slopes about the upper left corner."""
    return nearest(image, 1.0, x, 0.0, y, 1.0, 0.0)


def translate_nearest(image, x=0.0, y=0.0, pixels_x=0.0, pixels_y=0.0):
    """Shifts by whole pixels, or by parts of the width and of the height rounded to them."""
    x, y = half_away(x * image.shape[-1] + pixels_x), half_away(y * image.shape[-2] + pixels_y)
    return nearest(image, 1.0, 0.0, -x, 0.0, 1.0, -y)


def rotate_nearest(image, degrees):
    """Rotates about the centre, counter-clockwise."""
    angle = -math.radians(degrees)
    sin, cos = round(math.sin(angle), 15), round(math.cos(angle), 15)
    cx, cy = image.shape[-1] / 2, image.shape[-2] / 2
    return nearest(image, cos, sin, cx - cos * cx - sin * cy, -sin, cos, cy + sin * cx - cos * cy)


def each_channel(image, table_of):
    """Looks each channel's values up in the table made from its histogram."""
    counts = [torch.bincount(channel.flatten().long(), minlength=256) for channel in image]
    return torch.stack([lookup(channel, table_of(count)) for channel, count in zip(image, counts)])


def auto_contrast(image):
    """Stretches each channel to the full range, as Pillow does."""

    def table_of(counts):
        low, high = counts.nonzero()[[0, -1], 0].tolist()
        scale = 255.0 / max(high - low, 1)
        values = torch.arange(256, dtype=torch.float64)
        return (values * scale - low * scale).clamp(0, 255) if low < high else values

    return each_channel(image, table_of)


def equalize(image):
    """Makes the values of each channel about equally frequent, as Pillow does."""

    def table_of(counts):
        step = (counts.sum() - counts[counts.nonzero()[-1, 0]]) // 255
        if step == 0:
            return torch.arange(256)
        return ((step // 2 + counts.cumsum(0) - counts) // step).clamp(max=255)

    return each_channel(image, table_of)


def solarize(image, threshold):
    """Inverts the values from the threshold on."""
    return torch.where(image < threshold, image, 255 - image)


def posterize(image, bits):
    """Keeps the upper bits."""
    return image & ((0xFF00 >> half_away(bits)) & 0xFF)


def grey_of(image):
    """Pillow's grey, 1 x height x width."""
    if image.shape[0] != 3:
        return image
    red, green, blue = image.long()
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)[None]


def away_from(image, without, factor):
    """Pillow's enhancement: factor 0 is the image without a quality, 1 the image, above 1 more of it."""
    image, without = image.float(), torch.as_tensor(without).float()
    return (without + factor * (image - without)).clamp(0, 255).to(torch.uint8)


def contrast(image, factor):
    """Away from the mean grey."""
    return away_from(image, math.floor(grey_of(image).double().mean().item() + 0.5), factor)


def saturation(image, factor):
    """Away from the grey image; leaves images of one channel as they are."""
    return away_from(image, grey_of(image), factor)


def brightness(image, factor):
    """Away from black."""
    return away_from(image, 0, factor)


def sharpness(image, factor):
    """Away from the smoothed image, whose outermost pixels stay."""
    rows, columns = image.shape[-2:]
    if min(rows, columns) < 3:
        return image
    wide = image.long()
    total = sum(wide[:, y : rows - 2 + y, x : columns - 2 + x] for y in range(3) for x in range(3))
    smooth = wide.clone()
    smooth[:, 1:-1, 1:-1] = (2 * (total + 4 * wide[:, 1:-1, 1:-1]) + 13) // 26
    return away_from(image, smooth, factor)


def cutout(image, part, rng):
    """Covers a square with mid-grey; its side is a part of the shorter side, its centre a random pixel."""
    side = half_away(part * shorter_side(image))
    y, x = rng.integers(0, image.shape[-2]), rng.integers(0, image.shape[-1])
    image = image.clone()
    top, left = max(y - side // 2, 0), max(x - side // 2, 0)
    image[:, top : y + (side + 1) // 2, left : x + (side + 1) // 2] = 128
    return image


def finish(image, pad, flip, square, rng):
    """Shifts into a black margin, mirrors half of the images, covers a square: parts of the shorter side."""
    margin = half_away(pad * shorter_side(image))
    x, y = rng.integers(-margin, margin + 1), rng.integers(-margin, margin + 1)
    image = translate_nearest(image, pixels_x=x, pixels_y=y)
    if flip and rng.random() < 0.5:
        image = horizontal_flip(image)
    return cutout(image, square, rng) if square else image


def apply(image, sub_policy, rng=None):
    """Applies one sub-policy, of those of all policies counted from 0, to a uint8 tensor."""
    flat = [function for _, functions in POLICIES for function in functions]
    return flat[sub_policy](image, rng or Random())


class DeepaugPolicy(torch.nn.Module):
    """Applies the policy. `chance`: the probability of augmenting an image; by default each policy's own.

    `generator`: a torch.Generator to draw from instead of torch's default one.
    """

    def __init__(self, chance=None, generator=None):
        super().__init__()
        self.chance = chance
        self.rng = Random(generator)

    def forward(self, image):
        if not isinstance(image, torch.Tensor):
            return TF.to_pil_image(self(TF.pil_to_tensor(image)))
        chance, functions = self.rng.choice(POLICIES)
        if self.rng.random() < (chance if self.chance is None else self.chance):
            image = self.rng.choice(functions)(image, self.rng)
        return FINISH(image, self.rng) if FINISH else image
