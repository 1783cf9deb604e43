#!/usr/bin/env python3
"""Measures images per second of the augmentation ops of four Python libraries, on one thread, and of deepaug's.

    python3 -m venv imgaug-env     # imgaug needs an old NumPy, hence an environment of its own
    imgaug-env/bin/pip install imgaug==0.4.0 numpy==1.23.5 opencv-python-headless==4.11.0.86 scikit-image==0.21.0 pillow
    python3 -m venv env
    env/bin/pip install torch torchvision albumentations==2.0.8 numpy pillow opencv-python-headless scipy
    env/bin/python ops_speed.py --imgaug-python imgaug-env/bin/python --deepaug ../../target/release/deepaug

Each library gets u8 RGB images in its own best form (the conversion is not timed) and returns new ones. Every image has
parameters of its own, and drawing them is timed. Where a library has several ways, all are tried and the fastest is
measured. Rounds alternate between the libraries, each in a process of its own, and the best round counts. Ranges are
those of deepaug at magnitude 0.5; where a peer's work differs, "how" in the output of --json says so.
"""

import argparse
import contextlib
import json
import math
import os
import platform
import random
import subprocess
import sys
import time

OPS = """crop gaussian-blur rotate shear translate-x translate-y sharpen emboss additive-gaussian-noise dropout
    coarse-dropout gamma-contrast brighten invert fog clouds add-to-hue-and-saturation coarse-salt-pepper
    horizontal-flip vertical-flip shear-x shear-y translate-x-nearest translate-y-nearest rotate-nearest auto-contrast
    equalize solarize posterize contrast saturation brightness sharpness cutout sample-pairing zoom swirl elastic erode
    dilate""".split()
U, SLOPE = random.uniform, math.degrees(math.atan(0.25))
SHIFT, SLOPES, TURN, FACTOR = (-0.15, 0.15), (-SLOPE, SLOPE), (-22.5, 22.5), (0.55, 1.45)


def pictures(side, count=64):
    """Smooth gradients, a texture and a little noise: neither flat nor pure noise, which would flatter some ops."""
    import numpy as np
    rng, images = np.random.default_rng(1), []
    y, x = np.mgrid[:side, :side] / side
    for _ in range(count):
        image = 128 + rng.normal(0, 4, (side, side, 3))
        for cells, strength in (2, 70), (5, 35), (13, 15):
            weights = np.maximum(0, 1 - abs(np.linspace(0, cells, side)[:, None] - np.arange(cells + 1)))
            grid = rng.uniform(-strength, strength, (cells + 1, cells + 1, 3))
            image += np.einsum("yi,xj,ijc->yxc", weights, weights, grid)
        a, b, phase = rng.uniform(-100, 100, 3)
        image += 12 * np.sin(a * x + b * y + phase)[..., None]
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return images


def each(function):
    return lambda images: [function(image) for image in images]


def margins(side):
    return [round(U(0, 0.1 * side)) for _ in range(4)]


def square(side):
    """Cutout: left, top, right, bottom, clipped to the image."""
    half, x, y = U(0, 0.3) * side / 2, U(0, side), U(0, side)
    return [min(max(round(edge), 0), side) for edge in (x - half, y - half, x + half, y + half)]


# Each function below returns its library's version, its forms of input (functions from a list of arrays of height x
# width x channels), a context to work in, and for each op its candidates: what they are, the form, the callable.


def imgaug(side):
    import cv2
    import imgaug
    import imgaug.augmenters as iaa
    import numpy as np
    cv2.setNumThreads(1)
    pil = iaa.pillike
    augmenters = {
        "crop": [iaa.Crop(percent=(0, 0.1))], "gaussian-blur": [iaa.GaussianBlur((0, 0.03 * side))],
        "rotate": [iaa.Rotate(TURN)], "shear": [iaa.Affine(shear={"x": (-17.5, 17.5)})],
        "translate-x": [iaa.TranslateX(percent=SHIFT)], "translate-y": [iaa.TranslateY(percent=SHIFT)],
        "sharpen": [iaa.Sharpen((0, 0.3), lightness=1)], "emboss": [iaa.Emboss((0, 0.35), strength=1)],
        "additive-gaussian-noise": [iaa.AdditiveGaussianNoise(scale=(0, 32), per_channel=0.5)],
        "dropout": [iaa.Dropout((0, 0.15), per_channel=0.5)],
        "coarse-dropout": [iaa.CoarseDropout((0, 0.15), size_px=(4, 8), per_channel=0.2)],
        "gamma-contrast": [iaa.GammaContrast((3**-0.5, 3**0.5))], "brighten": [iaa.Add((-48, 48), per_channel=0.5)],
        "invert": [iaa.Invert(1)], "fog": [iaa.Fog()], "clouds": [iaa.Clouds()],
        "add-to-hue-and-saturation": [iaa.AddToHueAndSaturation(value_hue=(-32, 32), value_saturation=(-32, 32))],
        "coarse-salt-pepper": [iaa.CoarseSaltAndPepper((0, 0.15), size_px=(8, 16))],
        "horizontal-flip": [iaa.Fliplr(1)], "vertical-flip": [iaa.Flipud(1)],
        **{f"shear-{a}": [iaa.Affine(shear={a: SLOPES}, order=0), pil.Affine(shear={a: SLOPES})] for a in "xy"},
        **{f"translate-{a}-nearest": [iaa.Affine(translate_percent={a: SHIFT}, order=0),
                                      pil.Affine(translate_percent={a: SHIFT})] for a in "xy"},
        "rotate-nearest": [iaa.Rotate(TURN, order=0), pil.Affine(rotate=TURN)], "auto-contrast": [pil.Autocontrast(0)],
        "equalize": [pil.Equalize(), iaa.AllChannelsHistogramEqualization()],
        "solarize": [pil.Solarize(1, threshold=(128, 255))], "posterize": [pil.Posterize((5, 8))],
        "contrast": [pil.EnhanceContrast(FACTOR)], "saturation": [pil.EnhanceColor(FACTOR)],
        "brightness": [pil.EnhanceBrightness(FACTOR), iaa.Multiply(FACTOR)],
        "sharpness": [pil.EnhanceSharpness(FACTOR)], "cutout": [iaa.Cutout(size=(0.0, 0.3), cval=128)],
        "zoom": [iaa.Affine(scale=(0.8, 1.2))],
        "elastic": [iaa.ElasticTransformation(alpha=(0, 0.25 * side), sigma=side / 7)],
    }
    ops = {op: [(f"{type(a).__module__.rsplit('.')[-1]}.{type(a).__name__}, batch as {form}", form,
                 lambda images, a=a: a(images=images)) for a in choices for form in ("list", "array")]
           for op, choices in augmenters.items()}
    ops["sample-pairing"] = [("blend.blend_alpha", "list", lambda images: [
        iaa.blend.blend_alpha(b, a, U(0, 0.2)) for a, b in zip(images, images[1:] + images[:1])])]
    return imgaug.__version__, {"list": list, "array": np.stack}, contextlib.nullcontext(), ops


def albumentations(side):
    import albumentations as A
    import cv2
    cv2.setNumThreads(1)
    nearest, noise = {"interpolation": cv2.INTER_NEAREST, "p": 1}, (0, 32 / 255)

    def affine(what, x=(0, 0), y=(0, 0), **options):
        return [A.Affine(**{what: {"x": x, "y": y}, "p": 1} | options)]

    def jitter(**factors):
        still = dict.fromkeys(("brightness", "contrast", "saturation"), (1, 1))
        return A.ColorJitter(**still | factors, hue=(0, 0), p=1)

    class PixelDropout(A.PixelDropout):
        """Draws the probability, which albumentations has fixed."""
        def get_params_dependent_on_data(self, params, data):
            self.dropout_prob = U(0, 0.15)
            return super().get_params_dependent_on_data(params, data)

    # A tuple stands for a choice between two, half the time each.
    transforms = {
        "crop": [A.CropAndPad(percent=(-0.1, 0), p=1)], "gaussian-blur": [A.GaussianBlur(0, (0, 0.03 * side), p=1)],
        "rotate": [A.Rotate(TURN, p=1), A.Affine(rotate=TURN, p=1)], "shear": affine("shear", (-17.5, 17.5)),
        **{f"translate-{a}": affine("translate_percent", **{a: SHIFT}) for a in "xy"},
        "sharpen": [A.Sharpen((0, 0.3), (1, 1), p=1)], "emboss": [A.Emboss((0, 0.35), (1, 1), p=1)],
        "additive-gaussian-noise": [(A.GaussNoise(noise, p=1), A.GaussNoise(noise, per_channel=False, p=1))],
        "dropout": [(PixelDropout(per_channel=True, p=1), PixelDropout(per_channel=False, p=1))],
        "coarse-dropout": [A.CoarseDropout((1, 5), (1 / 8, 1 / 4), (1 / 8, 1 / 4), p=1)],
        "gamma-contrast": [A.RandomGamma((100 * 3**-0.5, 100 * 3**0.5), p=1)],
        "brighten": [(A.RandomBrightnessContrast(48 / 255, 0, p=1), A.RGBShift(48, 48, 48, p=1))],
        "invert": [A.InvertImg(p=1)], "fog": [A.RandomFog(p=1)],
        "add-to-hue-and-saturation": [A.HueSaturationValue(32 * 180 / 255, 32, 0, p=1)],
        "horizontal-flip": [A.HorizontalFlip(p=1)], "vertical-flip": [A.VerticalFlip(p=1)],
        **{f"shear-{a}": affine("shear", **{a: SLOPES}, **nearest) for a in "xy"},
        **{f"translate-{a}-nearest": affine("translate_percent", **{a: SHIFT}, **nearest) for a in "xy"},
        "rotate-nearest": [A.Rotate(TURN, **nearest), A.Affine(rotate=TURN, **nearest)],
        "auto-contrast": [A.AutoContrast(method="cdf", p=1), A.AutoContrast(method="pil", p=1)],
        "equalize": [A.Equalize("cv", p=1), A.Equalize("pil", p=1)],
        "solarize": [A.Solarize((128 / 255, 1), p=1)], "posterize": [A.Posterize((5, 8), p=1)],
        "contrast": [jitter(contrast=FACTOR)], "saturation": [jitter(saturation=FACTOR)],
        "brightness": [jitter(brightness=FACTOR), A.RandomBrightnessContrast(0, 0.45, p=1)],
        "sharpness": [A.Sharpen((0, 0.45 / 13), (1, 1), p=1)],
        "cutout": [A.CoarseDropout((1, 1), (0.01, 0.3), (0.01, 0.3), fill=128, p=1),
                   A.Erasing((0, 0.09), (1, 1), fill=128, p=1)],
        "zoom": [A.Affine(scale=(0.8, 1.2), p=1)],
        "elastic": [A.ElasticTransform(0.25 * side, side / 7, p=1)],
        **{op: [A.Morphological((3, 3), kind, p=1)] for op, kind in (("erode", "erosion"), ("dilate", "dilation"))},
    }
    notes = {"translate-x": ", whole pixels", "translate-y": ", whole pixels", "sharpness": ", never blurs",
             "erode": ", 3 pixels, not blended", "dilate": ", 3 pixels, not blended",
             "coarse-dropout": ", 1 to 5 holes off any grid", "cutout": ", all of it inside the image"}

    def candidate(op, choice, wrap):
        several = choice if isinstance(choice, tuple) else (choice,)
        parts = [wrap(t) for t in several]
        call = parts[0] if len(parts) == 1 else lambda image: random.choice(parts)(image=image)
        how = " or ".join(dict.fromkeys(type(t).__name__ for t in several)) + notes.get(op, "")
        return (how + ", in Compose" * isinstance(parts[0], A.Compose), "array",
                lambda images: [call(image=image)["image"] for image in images])

    ops = {op: [candidate(op, choice, wrap) for choice in choices for wrap in (lambda t: t, lambda t: A.Compose([t]))]
           for op, choices in transforms.items()}
    return A.__version__, {"array": list}, contextlib.nullcontext(), ops


def torchvision(side):
    import torch
    import torchvision
    from PIL import Image
    from torchvision.transforms.v2 import functional as F
    torch.set_num_threads(1)
    bilinear, nearest = F.InterpolationMode.BILINEAR, F.InterpolationMode.NEAREST
    grey = torch.full((3, 1, 1), 128, dtype=torch.uint8)
    # A tensor in the memory layout of the array it was decoded to is the other usual form; some kernels prefer it.
    tensors = {"tensor": lambda arrays: [torch.from_numpy(a).permute(2, 0, 1).contiguous() for a in arrays],
               "channels-last tensor": lambda arrays: [torch.from_numpy(a).permute(2, 0, 1) for a in arrays]}
    forms = tensors | {"PIL": lambda arrays: [Image.fromarray(a) for a in arrays]}

    def function(name, form):
        return getattr(F, name if form == "PIL" else name + "_image")

    def kernel(name, draw=lambda: (), among=forms, note=""):
        """The functional for images of each form, with arguments drawn for each image."""
        def candidate(form, call):
            return f"{name}, {form}{note}", form, each(lambda image: call(image, *draw()))
        return [candidate(form, function(name, form)) for form in among]

    def affine(how, x=0.0, y=0.0, shear_x=0.0, shear_y=0.0):
        return kernel("affine", lambda: (
            0.0, [U(-x, x) * side, U(-y, y) * side], 1.0, [U(-shear_x, shear_x), U(-shear_y, shear_y)], how))

    def crop():
        left, top, right, bottom = margins(side)
        return top, left, side - top - bottom, side - left - right, [side, side], bilinear, True

    def blur():
        sigma = U(0.001, 0.03 * side)
        # imgaug's kernel size.
        size = int((3.3 if sigma < 3 else 2.9 if sigma < 5 else 2.6) * sigma)
        return [max(size + 1 - size % 2, 5)] * 2, [sigma, sigma]

    def moved(x, y):
        return kernel("crop", lambda: (round(U(-y, y) * side), round(U(-x, x) * side), side, side))

    def erase():
        left, top, right, bottom = square(side)
        return top, left, bottom - top, right - left, grey

    def hue_saturation(form):
        hue, saturation = function("adjust_hue", form), function("adjust_saturation", form)
        return (f"adjust_hue and adjust_saturation, {form}, multiplies saturation", form,
                each(lambda image: saturation(hue(image, U(-32, 32) / 255), U(0.75, 1.25))))

    def zoom():
        return 0.0, [0.0, 0.0], U(0.8, 1.2), [0.0, 0.0], bilinear

    def elastic(form):
        from torchvision.transforms import v2
        transforms = [v2.ElasticTransform(alpha, side / 7) for alpha in (0.05 * side, 0.15 * side, 0.25 * side)]
        return f"ElasticTransform, {form}", form, each(lambda image: random.choice(transforms)(image))

    ops = {
        "zoom": kernel("affine", zoom), "elastic": [elastic(form) for form in forms],
        "crop": kernel("resized_crop", crop), "gaussian-blur": kernel("gaussian_blur", blur),
        "rotate": kernel("rotate", lambda: (U(*TURN), bilinear)), "shear": affine(bilinear, shear_x=17.5),
        "translate-x": affine(bilinear, x=0.15), "translate-y": affine(bilinear, y=0.15),
        # Adding alpha (8 centre - sum of 8 neighbours) is this kernel's 13 alpha (centre - smoothed).
        "sharpen": kernel("adjust_sharpness", lambda: (1 + 13 * U(0, 0.3),)),
        "additive-gaussian-noise": kernel("gaussian_noise", lambda: (0.0, U(0, 32 / 255)), tensors, ", all per channel"),
        "gamma-contrast": kernel("adjust_gamma", lambda: (3 ** U(-0.5, 0.5),)), "invert": kernel("invert"),
        "add-to-hue-and-saturation": [hue_saturation(form) for form in forms],
        "horizontal-flip": kernel("horizontal_flip"), "vertical-flip": kernel("vertical_flip"),
        "shear-x": affine(nearest, shear_x=SLOPE), "shear-y": affine(nearest, shear_y=SLOPE),
        "translate-x-nearest": moved(0.15, 0), "translate-y-nearest": moved(0, 0.15),
        "rotate-nearest": kernel("rotate", lambda: (U(*TURN), nearest)),
        "auto-contrast": kernel("autocontrast"), "equalize": kernel("equalize"),
        "solarize": kernel("solarize", lambda: (U(128, 255),)),
        "posterize": kernel("posterize", lambda: (random.randint(5, 8),)), "cutout": kernel("erase", erase, tensors),
        **{op: kernel("adjust_" + op, lambda: (U(*FACTOR),))
           for op in ("contrast", "saturation", "brightness", "sharpness")},
    }
    return torchvision.__version__, forms, torch.inference_mode(), ops


def pillow(side):
    import PIL
    from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps
    import numpy as np
    size, bilinear, nearest = (side, side), Image.Resampling.BILINEAR, Image.Resampling.NEAREST
    identity, unit = list(range(256)), np.arange(256) / 255
    ramp = [0] * 256 + identity + [255] * 256
    # Quantiles of the beta distribution with parameters 1/2, from which imgaug draws salt and pepper.
    salt_pepper = (255 * np.sin(np.pi / 2 * (np.arange(256) + 0.5) / 256) ** 2 + 0.5).astype(int).tolist()

    def affine(resample, draw):
        return {"transform": lambda image: image.transform(size, Image.Transform.AFFINE, draw(), resample)}

    def rotate(resample):
        def draw():
            angle, half = math.radians(U(*TURN)), side / 2
            c, s = math.cos(angle), math.sin(angle)
            return c, s, half - half * (c + s), -s, c, half - half * (c - s)
        return affine(resample, draw) | {"rotate": lambda image: image.rotate(U(*TURN), resample)}

    def shear(resample, most, x=1, y=0):
        def draw():
            slope = U(-most, most)
            return 1, x * slope, -x * slope * side / 2, y * slope, 1, -y * slope * side / 2
        return affine(resample, draw)

    def crop(image):
        left, top, right, bottom = margins(side)
        return image.resize(size, bilinear, (left, top, side - right, side - bottom))

    def moved(x, y):
        def move(image):
            dx, dy = round(U(-x, x) * side), round(U(-y, y) * side)
            return image.crop((dx, dy, dx + side, dy + side))
        return {"crop": move}

    def filtered(least, most, effect):
        """Blends the image with a convolution of it, as one convolution."""
        def call(image):
            a = U(least, most)
            kernel = [a * e + (1 - a) * (i == 4) for i, e in enumerate(effect)]
            return image.filter(ImageFilter.Kernel((3, 3), kernel, 1))
        return {"filter with a Kernel": call}

    def bands(draw, three):
        return Image.merge("RGB", [draw() for _ in range(3)] if three else [draw()] * 3)

    def random_bytes(table, three=False):
        return bands(lambda: Image.frombytes("L", size, random.randbytes(side * side)).point(table), three)

    def noise(image):
        sd = U(0, 32)
        return ImageChops.add(image, bands(lambda: Image.effect_noise(size, sd), random.random() < 0.5), 1, -128)

    def dropout(image):
        zeros = round(U(0, 0.15) * 256)
        return ImageChops.darker(image, random_bytes([0] * zeros + [255] * (256 - zeros), random.random() < 0.5))

    def replace_cells(image, by, least, most):
        """Replaces cells of a coarse grid, each with a probability of up to 0.15."""
        grid, p = (random.randint(least, most), random.randint(least, most)), U(0, 0.15)
        hits = bytes(255 if random.random() < p else 0 for _ in range(grid[0] * grid[1]))
        out = image.copy()
        out.paste(by, (0, 0, side, side), Image.frombytes("L", grid, hits).resize(size, nearest))
        return out

    def brighten(image):
        added = [random.randint(0, 96) for _ in range(3)] if random.random() < 0.5 else [random.randint(0, 96)] * 3
        return ImageChops.add(image, Image.new("RGB", size, tuple(added)), 1, -48)

    def hue_saturation(image):
        hue, by = random.randint(-32, 32) % 256, random.randint(224, 288)
        return image.convert("HSV").point(identity[hue:] + identity[:hue] + ramp[by:by + 256] + identity).convert("RGB")

    def color(image):
        factor = U(*FACTOR)
        r, g, b = (weight * (1 - factor) for weight in (0.299, 0.587, 0.114))
        return image.convert("RGB", (r + factor, g, b, 0, r, g + factor, b, 0, r, g, b + factor, 0))

    def enhance(name):
        return {name: lambda image: getattr(ImageEnhance, name)(image).enhance(U(*FACTOR))}

    def cutout(image):
        out = image.copy()
        out.paste((128, 128, 128), square(side))
        return out

    def zoom():
        factor = 1 / U(0.8, 1.2)
        return factor, 0, (1 - factor) * side / 2, 0, factor, (1 - factor) * side / 2

    def extreme(kind):
        size = 2 * max(round(side / 32), 1) + 1
        return {f"{kind.__name__} and Image.blend": lambda image: Image.blend(image, image.filter(kind(size)), U(0, 0.5))}

    choices = {
        "zoom": affine(bilinear, zoom), "erode": extreme(ImageFilter.MinFilter), "dilate": extreme(ImageFilter.MaxFilter),
        "crop": {"resize with a box": crop},
        "gaussian-blur": {"GaussianBlur, by boxes": lambda i: i.filter(ImageFilter.GaussianBlur(U(0, 0.03 * side)))},
        "rotate": rotate(bilinear), "shear": shear(bilinear, math.tan(math.radians(17.5))),
        "translate-x": affine(bilinear, lambda: (1, 0, U(*SHIFT) * side, 0, 1, 0)),
        "translate-y": affine(bilinear, lambda: (1, 0, 0, 0, 1, U(*SHIFT) * side)),
        "sharpen": filtered(0, 0.3, [-1, -1, -1, -1, 9, -1, -1, -1, -1]),
        "emboss": filtered(0, 0.35, [-2, -1, 0, -1, 1, 1, 0, 1, 2]),
        "additive-gaussian-noise": {"effect_noise, ImageChops.add": noise},
        "dropout": {"random bytes, point, ImageChops.darker": dropout},
        "coarse-dropout": {"paste by an enlarged mask": lambda i: replace_cells(i, (0, 0, 0), 4, 8)},
        "gamma-contrast": {"point": lambda i: i.point((255 * unit ** 3 ** U(-0.5, 0.5) + 0.5).astype(int).tolist() * 3)},
        "brighten": {"ImageChops.add": brighten}, "add-to-hue-and-saturation": {"convert and point": hue_saturation},
        "invert": {"ImageChops.invert": ImageChops.invert, "ImageOps.invert": ImageOps.invert},
        "coarse-salt-pepper": {"random bytes, paste": lambda i: replace_cells(i, random_bytes(salt_pepper), 8, 16)},
        "horizontal-flip": {"transpose": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)},
        "vertical-flip": {"transpose": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)},
        "shear-x": shear(nearest, 0.25), "shear-y": shear(nearest, 0.25, 0, 1),
        "translate-x-nearest": moved(0.15, 0), "translate-y-nearest": moved(0, 0.15), "rotate-nearest": rotate(nearest),
        "auto-contrast": {"autocontrast": ImageOps.autocontrast}, "equalize": {"equalize": ImageOps.equalize},
        "solarize": {"solarize": lambda image: ImageOps.solarize(image, U(128, 256))},
        "posterize": {"posterize": lambda image: ImageOps.posterize(image, random.randint(5, 8))},
        "contrast": enhance("Contrast"), "saturation": enhance("Color") | {"convert with a matrix": color},
        "brightness": enhance("Brightness"), "cutout": {"copy and paste": cutout},
        "sharpness": enhance("Sharpness") | filtered(-0.45, 0.45, [-1 / 13] * 4 + [21 / 13] + [-1 / 13] * 4),
    }
    ops = {op: [(how, "PIL", each(call)) for how, call in ways.items()] for op, ways in choices.items()}
    ops["sample-pairing"] = [("Image.blend", "PIL", lambda images: [
        Image.blend(a, b, U(0, 0.2)) for a, b in zip(images, images[1:] + images[:1])])]
    return PIL.__version__, {"PIL": lambda arrays: [Image.fromarray(a) for a in arrays]}, contextlib.nullcontext(), ops


def skimage(side):
    import skimage
    from skimage.transform import swirl

    def call(image):
        # Its default radius is meant for 32 pixels.
        made = swirl(image, strength=U(-0.6, 0.6), radius=100 * side / 32, order=1, preserve_range=True)
        return made.astype("uint8")
    return skimage.__version__, {"array": list}, contextlib.nullcontext(), {"swirl": [("swirl", "array", each(call))]}


def package(side):
    """deepaug's own package: one image at a time, and a batch at once. Both share the name of the op's row."""
    import deepaug
    import numpy as np

    def one(op):
        policy = deepaug.Policy([[(op, 0.5)]]).with_chance(1.0)
        return lambda images: [policy(image) for image in images]

    def several(op):
        policy = deepaug.Policy([[(op, 0.5)]]).with_chance(1.0)
        return lambda images: policy(images)
    ops = {op: [("one image at a time", "array", one(op))] for op in OPS}
    ops |= {f"{op} in batches": [("a batch of 64", "batch", several(op))] for op in OPS}
    return deepaug.__version__, {"array": list, "batch": np.stack}, contextlib.nullcontext(), ops


LIBRARIES = {"imgaug": imgaug, "albumentations": albumentations, "torchvision": torchvision, "pillow": pillow,
             "skimage": skimage}


def rate(call, images, seconds):
    done, start = 0, time.perf_counter()
    while True:
        call(images)
        done += len(images)
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return done / elapsed


def check(call, images):
    """That the op gives u8 images of the same size and leaves its input as it is; also a warm-up."""
    import numpy as np
    before = [np.asarray(image).copy() for image in images]
    after = [np.asarray(image) for image in call(images)]
    assert [(a.shape, a.dtype) for a in after] == [(b.shape, np.uint8) for b in before], "not u8 of the same size"
    assert all(np.array_equal(image, b) for image, b in zip(images, before)), "the input was changed"


def work(library, sizes, seconds, wanted):
    for side in sizes:
        random.seed(1)
        version, forms, context, ops = (package if library == "package" else LIBRARIES[library])(side)
        wanted = [*wanted, *(f"{op} in batches" for op in wanted)]
        images = {form: prepare(pictures(side)) for form, prepare in forms.items()}
        with context:
            for op in filter(ops.get, wanted):
                trials = []
                for how, form, call in ops[op]:
                    check(call, images[form][:4])
                    # With one way, there is nothing to choose.
                    few = images[form][:16]
                    speed = max(rate(call, few, 0.01) for _ in range(2)) if len(ops[op]) > 1 else 0
                    trials.append((speed, how, form, call))
                _, how, form, call = max(trials, key=lambda trial: trial[0])
                print(json.dumps({"library": library, "version": version, "op": op, "size": side, "how": how,
                                  "images_per_second": rate(call, images[form], seconds)}), flush=True)


def run(command):
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    environment = {**os.environ, **one, "NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def table(side, best, libraries):
    """Prints a size's table; returns deepaug's ratios to the fastest peer and their geometric mean."""
    print(f"\n{side} x {side}, images per second, one thread")
    print(f"{'op':27}" + "".join(f"{name:>15}" for name in [*libraries, "deepaug", "ratio"]))
    ratios = {}
    for op in (op for op in OPS if any(key[1] == op for key in best)):
        speeds = [best.get((name, op, side), {}).get("images_per_second") for name in [*libraries, "deepaug"]]
        if speeds[-1] and any(speeds[:-1]):
            ratios[op] = speeds[-1] / max(filter(None, speeds[:-1]))
        cells = [f"{speed:,.0f}" if speed else "—" for speed in speeds] + [f"{ratios[op]:.2f}" if op in ratios else "—"]
        print(f"{op:27}" + "".join(f"{cell:>15}" for cell in cells))
    if not ratios:
        return {}
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    slower = sorted((op for op in ratios if ratios[op] < 1), key=ratios.get)
    print(f"geometric mean of {len(ratios)} ratios to the fastest peer: {mean:.2f}")
    print("deepaug is slower in: " + (", ".join(f"{op} ({ratios[op]:.2f})" for op in slower) or "none"))
    return {"geometric_mean": mean, "ratios": ratios, "slower": slower}


def of_package(side, best, libraries):
    """Prints what the Python package keeps: one image at a time beside the peers, batches beside the program."""
    def speed(library, op):
        return best.get((library, op, side), {}).get("images_per_second")

    def mean(ratios):
        return math.exp(sum(map(math.log, ratios.values())) / len(ratios)) if ratios else None
    peers = {op: max(filter(None, (speed(library, op) for library in libraries)), default=None) for op in OPS}
    one = {op: speed("package", op) / peers[op] for op in OPS if peers[op] and speed("package", op)}
    batches = {op: speed("package", f"{op} in batches") for op in OPS}
    kept = {op: batches[op] / speed("deepaug", op) for op in OPS if batches[op] and speed("deepaug", op)}
    slower = sorted((op for op in one if one[op] < 1), key=one.get)
    print(f"\n{side} x {side}, through Python: one image at a time {mean(one) or 0:.2f} times the fastest peer; slower in "
          + (", ".join(f"{op} ({one[op]:.2f})" for op in slower) or "none"))
    print(f"batches of 64: {mean(kept) or 0:.2f} of the program's speed, "
          f"least {min(kept, key=kept.get) if kept else ''} {min(kept.values(), default=0):.2f}")
    return {"one": one, "kept": kept}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgaug-python", default=sys.executable, help="the Python of imgaug's environment")
    parser.add_argument("--deepaug", help="deepaug's program; without it, only the peers are measured")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long to time each op in each round")
    parser.add_argument("--size", default="32,224")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="OUT", help="where to write all results")
    parser.add_argument("--only", metavar="LIB,...", default=",".join(LIBRARIES), help="the peers to measure")
    parser.add_argument("--ops", metavar="OP,...", default=",".join(OPS), help="the ops to measure")
    parser.add_argument("--skimage-python", default=sys.executable, help="the Python of scikit-image's environment")
    parser.add_argument("--package", action="store_true", help="measure the Python package too, if it is installed")
    parser.add_argument("--worker", choices=[*LIBRARIES, "package"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes, libraries = [int(size) for size in arguments.size.split(",")], arguments.only.split(",")
    if arguments.worker:
        return work(arguments.worker, sizes, arguments.seconds, arguments.ops.split(","))
    if not set(libraries) <= set(LIBRARIES):
        parser.error(f"--only takes some of {', '.join(LIBRARIES)}")

    common = ["--size", arguments.size, "--seconds", str(arguments.seconds)]
    measured = []
    for number in range(1, arguments.rounds + 1):
        if arguments.deepaug:
            report = json.loads(run([arguments.deepaug, "bench", "--ops", "--threads", "1", *common, "--json"]))
            ours = [line for line in report["ops"] if line["op"] in arguments.ops.split(",")]
            measured += [{"library": "deepaug", **line, "round": number} for line in ours]
        for library in [*libraries, *(["package"] if arguments.package else [])]:
            print(f"round {number} of {arguments.rounds}: {library}", file=sys.stderr)
            python = getattr(arguments, f"{library}_python", sys.executable)
            output = run([python, os.path.abspath(__file__), "--worker", library, "--ops", arguments.ops, *common])
            measured += [{**json.loads(line), "round": number} for line in output.splitlines()]

    best = {(m["library"], m["op"], m["size"]): m for m in sorted(measured, key=lambda m: m["images_per_second"])}
    versions = {m["library"]: m.get("version", "") for m in measured}
    print(", ".join(f"{name} {version}".strip() for name, version in versions.items()))
    summary = {side: table(side, best, libraries) for side in sizes}
    for side in sizes if arguments.package else []:
        summary[side]["package"] = of_package(side, best, libraries)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"machine": platform.processor() or platform.machine(), "seconds": arguments.seconds,
                       "rounds": arguments.rounds, "summary": summary, "best": list(best.values()), "all": measured},
                      file, indent=1)


if __name__ == "__main__":
    main()
