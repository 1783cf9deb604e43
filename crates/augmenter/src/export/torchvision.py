"""Image augmentation for torchvision 0.20 and later, written by `deepaug export`.

<policy>

<meaning>

    from torchvision.transforms import v2

    transform = v2.Compose([DeepaugPolicy(), v2.ToDtype(torch.float32, scale=True)])

Takes what torchvision's own transforms take, and returns the same kind: PIL images of mode L or RGB; tensors of
... x channels x height x width with 1 or 3 channels, uint8 or floats from 0 to 1, which are rounded to 256 values;
these among labels in tuples and dicts. The images of a batch are augmented each by itself, those of a
tv_tensors.Video alike. Anything else is a TypeError or a ValueError. Random numbers come from torch.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torchvision import tv_tensors
from PIL import Image
from torchvision.transforms import v2


def resized(image, rows, columns):
    """OpenCV's INTER_AREA: pixels keep their extent, and only those that straddle two are blended."""

    def taps(n, to):
        """Source positions, and the weights of the next ones in 2048ths."""
        x, inverse = np.arange(to, dtype=np.float64), to / n
        at = np.floor(x * (1.0 / inverse))
        weight = (x + 1 - (at + 1) * inverse).astype(np.float32)
        weight = np.where(weight <= 0, 0, weight - np.floor(weight))
        at, weight = at.astype(np.int64), np.rint(weight * 2048).astype(np.int64)
        weight[at + 1 >= n] = 0
        return np.minimum(at, n - 1), np.minimum(at + 1, n - 1), weight

    here, there, weight = taps(image.shape[1], columns)
    weight = weight[:, None]
    wide = image[:, here].astype(np.int64) * (2048 - weight) + image[:, there].astype(np.int64) * weight
    here, there, weight = taps(image.shape[0], rows)
    weight = weight[:, None, None]
    upper, lower = wide[here] >> 4, wide[there] >> 4
    return ((((2048 - weight) * upper >> 16) + (weight * lower >> 16) + 2) >> 2).astype(np.uint8)


def correlated(image, kernel):
    """The correlation with a kernel of odd sides, mirrored at the edges, in 64 bits."""
    for axis, side in enumerate(kernel.shape):
        i = np.arange(-(side // 2), image.shape[axis] + side // 2) % max(2 * (image.shape[axis] - 1), 1)
        image = image.take(np.minimum(i, 2 * (image.shape[axis] - 1) - i), axis)
    image, kernel = torch.from_numpy(image.astype(np.float64)), torch.from_numpy(kernel.astype(np.float64))
    return F.conv2d(image.permute(2, 0, 1)[:, None], kernel[None, None])[:, 0].permute(1, 2, 0).numpy()


def blurred(image, sigma, radius):
    """Correlates with a Gaussian whose weights are whole 256ths, as in OpenCV's blur of uint8 images."""
    half = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius, 0, -1)]
    total, carried = 1.0 + 2.0 * sum(half), 0.0
    for i, weight in enumerate(half):
        exact = 256.0 * weight / total + carried
        half[i] = round(exact)
        carried = exact - half[i]
    kernel = np.array([half + [256 - 2 * sum(half)] + half[::-1]])
    return np.floor((correlated(correlated(image, kernel), kernel.T) + 2**15) / 2**16).astype(np.uint8)


def taken(image, x, y, edge):
    """The pixels at positions in 32nds of a pixel; black outside, or the nearest of the edge."""
    if edge:
        x, y = np.clip(x, 0, 32 * (image.shape[1] - 1)), np.clip(y, 0, 32 * (image.shape[0] - 1))
    source, (rows, columns) = np.pad(image, ((2, 2), (2, 2), (0, 0))).astype(np.int64), image.shape[:2]
    right, lower = (x & 31)[..., None], (y & 31)[..., None]
    x, y = np.clip(x >> 5, -2, columns) + 2, np.clip(y >> 5, -2, rows) + 2
    upper_row = (32 - right) * source[y, x] + right * source[y, x + 1]
    lower_row = (32 - right) * source[y + 1, x] + right * source[y + 1, x + 1]
    return (((32 - lower) * upper_row + lower * lower_row + 512) >> 10).astype(np.uint8)


def filtered(image, kernel):
    """The correlation with a 3 x 3 kernel, mirrored at the edges."""
    rows, columns = image.shape[:2]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect").astype(np.float32)
    # One product after another: the order of the sum decides how ties are rounded.
    total = np.zeros(image.shape, np.float32)
    for y, x in np.ndindex(3, 3):
        total = total + kernel[y, x] * padded[y : y + rows, x : x + columns]
    return np.clip(np.rint(total), 0, 255).astype(np.uint8)


def hsv_shifted(image, hue, saturation):
    """Adds to the hue, of 180 steps, and to the saturation in OpenCV's HSV, where grey pixels are red."""
    (red, green, blue), value = np.moveaxis(image.astype(np.int64), 2, 0), image.max(2).astype(np.int64)
    spread = value - image.min(2)
    s = (spread * np.rint(255.0 * 4096 / np.maximum(value, 1)).astype(np.int64) + 2048) >> 12
    sector = np.where(value == green, blue - red + 2 * spread, red - green + 4 * spread)
    sector = np.where(value == red, green - blue, sector)
    h = (sector * np.rint(30.0 * 4096 / np.maximum(spread, 1)).astype(np.int64) + 2048) >> 12
    s = np.clip(s + saturation, 0, 255).astype(np.float32) * np.float32(1 / 255)
    v, h = value.astype(np.float32) * np.float32(1 / 255), ((h + hue) % 180).astype(np.float32) * np.float32(6 / 180)
    n = np.floor(h)
    mixes = np.stack([v, v * (1 - s), v * (1 - s * (h - n)), v * (1 - s * (1 - (h - n)))])
    mixes = np.clip(np.rint(mixes * np.float32(255)), 0, 255).astype(np.uint8)
    # Which of v, p, q and t is red, green and blue in each of the six sectors.
    order = np.array([[0, 2, 1, 1, 3, 0], [3, 0, 0, 2, 1, 1], [1, 1, 3, 0, 0, 2]])[:, n.astype(np.int64)]
    return np.moveaxis(np.take_along_axis(mixes, order, 0), 0, 2)


def enlarged(values, rows, columns):
    values = torch.from_numpy(values)[None, None]
    return F.interpolate(values, (rows, columns), mode="bicubic", align_corners=False)[0, 0].numpy()


class DeepaugPolicy(v2.Transform):
    """Applies the policy. `chance`: the probability of augmenting an image; by default each policy's own.

    `generator`: a torch.Generator to draw from instead of torch's default one; each worker of a DataLoader has a copy.
    """

    def __init__(self, chance=None, generator=None):
        super().__init__()
        self.chance, self.generator = chance, generator

    def check_inputs(self, flat_inputs):
        kinds = {type(each).__name__ for each in flat_inputs}
        if kinds & {"BoundingBoxes", "Mask", "KeyPoints"}:
            raise TypeError(f"{', '.join(sorted(kinds))}: boxes, masks and points would not follow the image")
        if not any(isinstance(each, (torch.Tensor, Image.Image)) for each in flat_inputs):
            raise TypeError(f"{', '.join(sorted(kinds))}: expects a PIL image or tensor; v2.ToImage() makes one")

    def make_params(self, flat_inputs):
        return {"seed": torch.randint(2**63 - 1, (), generator=self.generator).item()}

    def transform(self, image, params):
        if isinstance(image, Image.Image):
            if image.mode not in ("L", "RGB"):
                raise ValueError(f'an image of mode {image.mode}: expects L or RGB; image.convert("RGB") makes it one')
            pixels = np.atleast_3d(np.array(image))
            made = augment(pixels, np.random.default_rng(params["seed"]), self.chance)
            return Image.fromarray(made.reshape(made.shape[: 2 if image.mode == "L" else 3]))
        if image.dtype != torch.uint8 and not image.is_floating_point():
            raise TypeError(f"a tensor of {image.dtype}: expects torch.uint8, or floats from 0 to 1")
        if image.dim() < 3 or image.shape[-3] not in (1, 3):
            raise ValueError(f"a tensor of shape {list(image.shape)}: expects [..., 1 or 3, height, width]")
        plain = image.as_subclass(torch.Tensor)
        if not image.numel():
            return image
        if image.is_floating_point():
            low, high = plain.min().item(), plain.max().item()
            # Resizing may overshoot; normalised values go further.
            if not (low >= -0.5 and high <= 1.5):
                raise ValueError(f"a tensor of values from {low:g} to {high:g}: expects 0 to 1, so before v2.Normalize")
            plain = (plain * 255).round().clamp(0, 255)
        made = plain.to(torch.uint8).cpu().reshape(-1, *image.shape[-3:]).permute(0, 2, 3, 1).numpy()
        is_video = isinstance(image, tv_tensors.Video)
        rngs = [np.random.default_rng([params["seed"], 0 if is_video else i]) for i in range(len(made))]
        made = [augment(pixels, rng, self.chance) for pixels, rng in zip(made, rngs)]
        made = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).reshape(image.shape).to(image.device)
        made = made.to(image.dtype) / 255 if image.is_floating_point() else made
        return tv_tensors.wrap(made, like=image) if isinstance(image, tv_tensors.TVTensor) else made

    # Their names before torchvision 0.21.
    _check_inputs, _get_params, _transform = check_inputs, make_params, transform
