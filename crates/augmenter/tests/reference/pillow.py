"""Write the fixtures of tests/pillow.rs: what Pillow makes of the images of grey.png and colour.png, called as
AutoAugment's code calls it, and the magnitudes of torchvision's tables.

    pip install pillow==13.0.0 numpy==2.4.6 torch==2.15.0 torchvision==0.29.2
    python pillow.py

Writes, beside itself:
    pillow-expected-*.png, pillow-cases.json
                  for every kernel of the AutoAugment family and many parameters: input, parameters and Pillow's pixels

For information, the JSON also says how far torchvision's kernels for tensors are from Pillow's.
"""

import json
import pathlib

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

HERE = pathlib.Path(__file__).parent
COLUMNS = 10
FACTORS = (0.0, 0.1, 0.5, 0.73, 1.0, 1.3, 1.9, 4.0, -2.0)
SLOPES = (0.0, 0.06, 0.3, -0.3, 0.99, -0.99, 0.5, -0.137)
DEGREES = (0, 360, 90, -90, 180, 270, 45, -45, 30, -30, 17.3, -133.3, 3.7, -4.25, 1075.5, 135)
# In pixels, to the right and down; the last ones leave nothing of some or all images.
SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (9, 0), (0, -13), (-4, 6), (27, -18))
SHIFTS += ((0, 19), (-31, 0), (45, 0), (0, -50))
# Side, and the centre's x and y.
CUTOUTS = ((0, 9, 9), (1, 5, 18), (4, 14, 10), (5, 0, 18), (8, 27, 0), (11, 13, 9), (20, 24, 3), (99, 7, 7))
BINS = 31


def sheet(images):
    """Images of one size, ten a row."""
    height, width, channels = images[0].shape
    rows = -(-len(images) // COLUMNS)
    pixels = np.zeros((rows * height, COLUMNS * width, channels), np.uint8)
    for i, image in enumerate(images):
        y, x = i // COLUMNS * height, i % COLUMNS * width
        pixels[y : y + height, x : x + width] = image
    return pixels.squeeze()


def tiles(name, side):
    """The images of a sheet."""
    pixels = np.array(Image.open(HERE / name))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    return [
        pixels[y * side : (y + 1) * side, x * side : (x + 1) * side].copy() for y in range(rows) for x in range(columns)
    ]


def to_pillow(image):
    return Image.fromarray(image.squeeze())


def to_numpy(image):
    pixels = np.array(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def affine(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def posterize(image, bits):
    # Pillow refuses 0 bits today; its table would be 0 throughout.
    return ImageOps.posterize(image, bits) if bits else image.point([0] * 256 * len(image.getbands()))


def cutout(image, side, x, y):
    image = image.copy()
    left, top = x - side // 2, y - side // 2
    if side:
        # Pillow's rectangles include their ends.
        box = (left, top, left + side - 1, top + side - 1)
        ImageDraw.Draw(image).rectangle(box, fill=(128,) * len(image.getbands()))
    return image


def pillow(kernel, p, image, images):
    return {
        "shear_x": lambda: affine(image, (1, p[0], 0, 0, 1, 0)),
        "shear_y": lambda: affine(image, (1, 0, 0, p[0], 1, 0)),
        # Pillow's matrix says where pixels come from; a positive shift is to the right and down.
        "translate": lambda: affine(image, (1, 0, -p[0], 0, 1, -p[1])),
        "rotate": lambda: image.rotate(p[0]),
        "auto_contrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "invert": lambda: ImageOps.invert(image),
        "solarize": lambda: ImageOps.solarize(image, p[0]),
        "posterize": lambda: posterize(image, p[0]),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(p[0]),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(p[0]),
        "saturation": lambda: ImageEnhance.Color(image).enhance(p[0]),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(p[0]),
        "cutout": lambda: cutout(image, *p),
        "blend": lambda: Image.blend(image, to_pillow(images[p[1]]), p[0]),
    }[kernel]()


def tensor_kernel(kernel, p, image):
    """What torchvision's kernels for tensors make of an image; None where there is none or it refuses."""
    image = torch.from_numpy(image.transpose(2, 0, 1).copy())
    if kernel in ("contrast", "brightness", "saturation", "sharpness") and p[0] < 0:
        return None
    if kernel == "solarize" and p[0] > 255:
        return None
    kernels = {
        "auto_contrast": lambda: F.autocontrast(image),
        "equalize": lambda: F.equalize(image),
        "invert": lambda: F.invert(image),
        "solarize": lambda: F.solarize(image, p[0]),
        "posterize": lambda: F.posterize(image, p[0]),
        "contrast": lambda: F.adjust_contrast(image, p[0]),
        "brightness": lambda: F.adjust_brightness(image, p[0]),
        "saturation": lambda: F.adjust_saturation(image, p[0]),
        "sharpness": lambda: F.adjust_sharpness(image, p[0]),
    }
    return kernels[kernel]().numpy().transpose(1, 2, 0) if kernel in kernels else None


def cases():
    """(kernel, parameters, factor of the contrast with which the input is changed beforehand, inputs)"""
    everywhere = ("grey", "colour", "wide")
    grey_and = [("grey", "colour"), ("grey", "wide")]
    for kernel in ("shear_x", "shear_y"):
        for slope in SLOPES:
            yield kernel, [slope], 1.0, everywhere
    for shift in SHIFTS:
        yield "translate", list(shift), 1.0, everywhere
    for degrees in DEGREES:
        yield "rotate", [degrees], 1.0, everywhere
    # Most images of grey.png have values from 0 to 255 already; contrast 0 leaves one value only.
    for kernel in ("auto_contrast", "equalize"):
        for i, factor in enumerate((1.0, 0.73, 0.5, 0.1, 0.0)):
            yield kernel, [], factor, everywhere if factor == 1.0 else grey_and[i % 2]
    for names in grey_and:
        yield "invert", [], 1.0, names
    # Much contrast makes values of 255, so that high thresholds are reached.
    for i, threshold in enumerate((0, 1, 77, 128, 200, 255, 256)):
        yield "solarize", [threshold], 4.0 if threshold >= 200 else 1.0, grey_and[i % 2]
    for bits in range(9):
        yield "posterize", [bits], 1.0, grey_and[bits % 2]
    for kernel in ("contrast", "brightness", "saturation", "sharpness"):
        for i, factor in enumerate(FACTORS):
            if kernel != "saturation":
                yield kernel, [factor], 1.0, grey_and[i % 2]
            else:
                yield kernel, [factor], 1.0, everywhere if factor == 1.3 else ("colour", "wide")
    for side, x, y in CUTOUTS:
        yield "cutout", [side, x, y], 1.0, everywhere if side in (5, 8) else grey_and[side % 2]
    for i, weight in enumerate((0.0, 0.04, 0.1, 0.25, 0.4, 0.5, 0.77, 1.0)):
        yield "blend", [weight, 23 - i], 1.0, grey_and[i % 2]


def is_identity(kernel, p, image):
    """Whether an image is meant to stay as it is."""
    least, largest = image.min((0, 1)), image.max((0, 1))
    return {
        "shear_x": lambda: p[0] == 0,
        "shear_y": lambda: p[0] == 0,
        "translate": lambda: p == [0, 0],
        "rotate": lambda: p[0] % 360 == 0,
        "auto_contrast": lambda: bool(((least == largest) | (least == 0) & (largest == 255)).all()),
        "equalize": lambda: bool((least == largest).all()),
        "invert": lambda: False,
        "solarize": lambda: p[0] == 256,
        "posterize": lambda: p[0] == 8,
        "contrast": lambda: p[0] == 1,
        "brightness": lambda: p[0] == 1,
        "saturation": lambda: p[0] == 1 or image.shape[2] == 1,
        "sharpness": lambda: p[0] == 1,
        "cutout": lambda: p[0] == 0,
        "blend": lambda: p[0] == 0,
    }[kernel]()


def magnitudes():
    """For each table and op, the magnitudes of all bins; translations as parts of a side where they are parts of it."""
    return {
        table.__name__: {
            op: [float(f"{float(value):.7g}") for value in function(BINS, 1, 1)]
            for op, (function, _) in table._AUGMENTATION_SPACE.items()
            if function(BINS, 1, 1) is not None
        }
        for table in (v2.RandAugment, v2.TrivialAugmentWide)
    }


def main():
    versions = {"pillow": PIL.__version__, "numpy": np.__version__}
    images = {"grey": tiles("grey.png", 28), "colour": tiles("colour.png", 32)}
    images["wide"] = [image[6:25, :31].copy() for image in images["colour"]]

    listed, expected, largest = [], {name: [] for name in images}, {}
    for i, (kernel, parameters, contrast, names) in enumerate(cases()):
        for name in names:
            index = 7 * i % len(images[name])
            before = ImageEnhance.Contrast(to_pillow(images[name][index])).enhance(contrast)
            after = to_numpy(pillow(kernel, parameters, before, images[name]))
            before = to_numpy(before)
            identity = is_identity(kernel, parameters, before)
            assert identity == np.array_equal(before, after), (kernel, parameters, contrast, name)
            found = tensor_kernel(kernel, parameters, before)
            if found is not None:
                difference = int(np.abs(found.astype(int) - after).max())
                largest[kernel] = max(largest.get(kernel, 0), difference)
            expected[name].append(after)
            listed.append(
                {
                    "kernel": kernel,
                    "parameters": parameters,
                    "contrast": contrast,
                    "input": name,
                    "index": index,
                    "tile": len(expected[name]) - 1,
                    "identity": identity,
                }
            )
    for name, results in expected.items():
        Image.fromarray(sheet(results)).save(HERE / f"pillow-expected-{name}.png", optimize=True)
    compared = {"version": torchvision.__version__.split("+")[0], "largest_difference_from_pillow": largest}
    lines = ",\n  ".join(json.dumps(case) for case in listed)
    tables = ",\n  ".join(
        f'"{table}": {{\n   ' + ",\n   ".join(f'"{op}": {json.dumps(values)}' for op, values in ops.items()) + "\n  }"
        for table, ops in magnitudes().items()
    )
    (HERE / "pillow-cases.json").write_text(
        f'{{"versions": {json.dumps(versions)},\n "torchvision": {json.dumps(compared)},\n'
        f' "torchvision_magnitudes": {{\n  {tables}\n }},\n "cases": [\n  {lines}\n]}}\n'
    )


main()
