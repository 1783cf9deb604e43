"""Write the fixtures of this crate's tests: two sheets of images, and what imgaug 0.4.0 makes of them.

    pip install imgaug==0.4.0 numpy==1.23.5 opencv-python-headless==4.11.0.86 scikit-image==0.21.0 pillow
    python make.py [folder with Fashion-MNIST's t10k-images-idx3-ubyte.gz]

Writes, beside itself:
    grey.png      60 images of Fashion-MNIST (MIT licence), 28 x 28, ten a row
    colour.png    30 images, 32 x 32, ten a row: Fashion-MNIST coloured and laid over generated gradients
    expected-*.png, cases.json
                  for every op that is deterministic given its parameters: input, parameters and the pixels of imgaug
    draws.json    for every op and some magnitudes under the ranges of DeepAugment 1.1.2: the distribution of the change
"""

import gzip
import json
import pathlib
import sys
import warnings

import cv2
import imgaug
import imgaug.augmenters as iaa
import imgaug.augmenters.geometric
import numpy as np
import skimage
from PIL import Image
from skimage import transform

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent
SOURCE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
COLUMNS = 10


class OldAffineTransform(transform.AffineTransform):
    """scikit-image's own up to 0.19, with which imgaug 0.4.0 was used; 0.20 changed the meaning of shear."""

    def __init__(self, matrix=None, scale=None, rotation=None, shear=None, translation=None):
        super().__init__(matrix)
        if matrix is None:
            sx, sy = scale or (1, 1)
            rotation, shear = rotation or 0, shear or 0
            self.params[:2, 0] = sx * np.cos(rotation), sx * np.sin(rotation)
            self.params[:2, 1] = -sy * np.sin(rotation + shear), sy * np.cos(rotation + shear)
            self.params[:2, 2] = translation or (0, 0)


class OldTransform:
    AffineTransform = OldAffineTransform

    def __getattr__(self, name):
        return getattr(transform, name)


imgaug.augmenters.geometric.tf = OldTransform()


def sheet(images):
    """Images of one size, ten a row."""
    height, width, channels = images[0].shape
    rows = -(-len(images) // COLUMNS)
    pixels = np.zeros((rows * height, COLUMNS * width, channels), np.uint8)
    for i, image in enumerate(images):
        y, x = i // COLUMNS * height, i % COLUMNS * width
        pixels[y : y + height, x : x + width] = image
    return pixels.squeeze()


def save(name, images):
    Image.fromarray(sheet(images)).save(HERE / name, optimize=True)


def inputs():
    with gzip.open(SOURCE / "t10k-images-idx3-ubyte.gz") as file:
        clothes = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    grey = [image[..., None].copy() for image in clothes[:60]]
    rng = np.random.RandomState(1)
    y, x = np.mgrid[0:32, 0:32] / 31.0
    colour = []
    for image in clothes[100:130]:
        corners = rng.randint(30, 226, (4, 3))
        background = (
            np.multiply.outer((1 - y) * (1 - x), corners[0])
            + np.multiply.outer((1 - y) * x, corners[1])
            + np.multiply.outer(y * (1 - x), corners[2])
            + np.multiply.outer(y * x, corners[3])
        )
        strength = np.pad(image, 2)[..., None] / 255.0
        cover = np.clip(4 * strength, 0, 1)
        colour.append(((1 - cover) * background + cover * strength * rng.randint(60, 256, 3)).astype(np.uint8))
    return {"grey": grey, "colour": colour, "wide": [image[6:25, :31].copy() for image in colour]}


def cases():
    """(kernel, parameters, augmenter)"""
    for degrees in (17.0, -90.0, 133.3, 0.7):
        yield "rotate", [degrees], iaa.Affine(rotate=degrees)
    for degrees in (12.5, -35.0, 71.0):
        yield "shear", [degrees], iaa.Affine(shear=degrees)
    for part in (0.13, -0.5):
        yield "translate_x", [part], iaa.Affine(translate_percent={"x": part, "y": 0.0})
        yield "translate_y", [part], iaa.Affine(translate_percent={"x": 0.0, "y": part})
    for sides in ((1, 2, 3, 4), (0, 0, 7, 0), (9, 0, 2, 13), (20, 25, 30, 22), (3, 32, 28, 5)):
        yield "crop", list(sides), iaa.Crop(px=sides)
    for sigma in (0.4, 2.6, 3.7, 11.0):
        yield "gaussian_blur", [sigma], iaa.GaussianBlur(sigma=sigma)
    for alpha, lightness in ((0.3, 1.0), (1.0, 0.5), (0.77, 4.2)):
        yield "sharpen", [alpha, lightness], iaa.Sharpen(alpha=alpha, lightness=lightness)
    for alpha, strength in ((0.25, 1.0), (1.0, 0.6), (0.6, 13.0)):
        yield "emboss", [alpha, strength], iaa.Emboss(alpha=alpha, strength=strength)
    for gamma in (0.4, 1.3, 1.75, 0.0):
        yield "gamma_contrast", [gamma], iaa.GammaContrast(gamma)
    for value in (37, -40):
        yield "brighten", [value], iaa.Add(value)
    yield "invert", [], iaa.Invert(1.0)
    for hue, saturation in ((45, 45), (-45, -45), (100, -20), (0, 60)):
        augmenter = iaa.AddToHueAndSaturation(value_hue=hue, value_saturation=saturation)
        yield "add_to_hue_and_saturation", [hue, saturation], augmenter
    yield "horizontal_flip", [], iaa.Fliplr(1.0)
    yield "vertical_flip", [], iaa.Flipud(1.0)


def deepaugment(op, m):
    """The augmenters of DeepAugment 1.1.2.

    It passes shear a range, by which imgaug of its time sheared horizontally; since 0.4.0 that would be both ways.
    """
    return {
        "crop": lambda: iaa.Crop(px=(0, int(m * 32))),
        "gaussian-blur": lambda: iaa.GaussianBlur(sigma=(0, m * 25.0)),
        "rotate": lambda: iaa.Affine(rotate=(-180 * m, 180 * m)),
        "shear": lambda: iaa.Affine(shear={"x": (-90 * m, 90 * m)}),
        "translate-x": lambda: iaa.Affine(translate_percent={"x": (-m, m), "y": (0, 0)}),
        "translate-y": lambda: iaa.Affine(translate_percent={"x": (0, 0), "y": (-m, m)}),
        "sharpen": lambda: iaa.Sharpen(alpha=(0, 1.0), lightness=(0.50, 5 * m)),
        "emboss": lambda: iaa.Emboss(alpha=(0, 1.0), strength=(0.0, 20.0 * m)),
        "additive-gaussian-noise": lambda: iaa.AdditiveGaussianNoise(loc=0, scale=(0.0, m * 255), per_channel=0.5),
        "dropout": lambda: iaa.Dropout((0.01, max(0.011, m)), per_channel=0.5),
        "coarse-dropout": lambda: iaa.CoarseDropout((0.03, 0.15), size_percent=(0.30, np.log10(m * 3)), per_channel=0.2),
        "gamma-contrast": lambda: iaa.GammaContrast(m * 1.75),
        "brighten": lambda: iaa.Add((int(-40 * m), int(40 * m)), per_channel=0.5),
        "invert": lambda: iaa.Invert(1.0),
        "fog": iaa.Fog,
        "clouds": iaa.Clouds,
        "add-to-hue-and-saturation": lambda: iaa.AddToHueAndSaturation((int(-45 * m), int(45 * m))),
        "coarse-salt-pepper": lambda: iaa.CoarseSaltAndPepper(p=0.2, size_percent=m),
        "horizontal-flip": lambda: iaa.Fliplr(m),
        "vertical-flip": lambda: iaa.Flipud(m),
    }[op]()


OPS = """crop gaussian-blur rotate shear translate-x translate-y sharpen emboss additive-gaussian-noise dropout coarse-dropout
gamma-contrast brighten invert fog clouds add-to-hue-and-saturation coarse-salt-pepper horizontal-flip vertical-flip""".split()


def measures(before, after):
    """What is compared, for one image; the test computes the same."""
    before, after = before.astype(np.float64), after.astype(np.float64)
    change = after - before
    return {
        "change": change.mean(),
        "distortion": np.abs(change).mean(),
        "sd": after.std(),
        "zeros": (after == 0).mean(),
        "roughness": np.abs(np.diff(after, axis=1)).mean(),
        "colour": np.abs(after[..., 0] - after[..., 2]).mean(),
    }


def main():
    versions = {
        "imgaug": imgaug.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "scikit-image": skimage.__version__ + ", with the AffineTransform of 0.19",
    }
    images = inputs()
    save("grey.png", images["grey"])
    save("colour.png", images["colour"])

    listed, expected = [], {name: [] for name in images}
    for i, (kernel, parameters, augmenter) in enumerate(cases()):
        for name in ("grey", "colour" if i % 2 else "wide"):
            if kernel == "add_to_hue_and_saturation" and name == "grey":
                continue  # imgaug asks for three channels
            index = 7 * i % len(images[name])
            expected[name].append(augmenter.augment_image(images[name][index].copy()))
            listed.append(
                {"kernel": kernel, "parameters": parameters, "input": name, "index": index, "tile": len(expected[name]) - 1}
            )
    for name, tiles in expected.items():
        save(f"expected-{name}.png", tiles)
    lines = ",\n  ".join(json.dumps(case) for case in listed)
    (HERE / "cases.json").write_text(f'{{"versions": {json.dumps(versions)},\n "cases": [\n  {lines}\n]}}\n')

    imgaug.seed(3)
    repeats, lines = 60, []
    for op in OPS:
        for m in (0.4, 0.9):
            batch = [image.copy() for _ in range(repeats) for image in images["colour"]]
            after = deepaugment(op, m).augment_images(batch)
            rows = [measures(a, b) for a, b in zip(images["colour"] * repeats, after)]
            statistics = {
                key: [float(f"{function([row[key] for row in rows]):.5g}") for function in (np.mean, np.std)]
                for key in rows[0]
            }
            lines.append(json.dumps({"op": op, "magnitude": m, "mean_and_sd": statistics}))
    header = f'{{"versions": {json.dumps(versions)},\n "draws": {len(rows)},\n "ops": [\n  '
    (HERE / "draws.json").write_text(header + ",\n  ".join(lines) + "\n]}\n")


main()
