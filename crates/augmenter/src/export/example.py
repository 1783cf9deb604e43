"""Image augmentation for albumentations 1.4.21 to 2, written by `deepaug export`.

Policy: solarize 0.50 on 80 %.

An image stays unchanged with probability 1 - chance; otherwise it gets one of the sub-policies, all equally likely. Its
ops are applied in order, with numbers drawn anew for each image. The default chance is that of copies: if each of S
sub-policies copies a portion of the images, S portion / (1 + S portion) of all images are copies. To change it:
DeepaugPolicy(chance=0.9).

    transform = A.Compose([DeepaugPolicy(), A.Normalize()], seed=1)
    augmented = transform(image=image)["image"]

Takes arrays of height x width x channels with 1 or 3 channels, or height x width: uint8, or float32 from 0 to 1,
which are rounded to 256 values. Anything else is a TypeError or a ValueError.
"""

import albumentations as A
import numpy as np


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


def augment(image, rng, chance=None):
    """Applies one of the policies with its own chance or another, then the finish."""
    policy = POLICIES[rng.integers(len(POLICIES))]
    if rng.random() < (policy["chance"] if chance is None else chance):
        for _ in range(policy["draws"]):
            image = run(image, policy["sub_policies"][rng.integers(len(policy["sub_policies"]))], rng)
        image = run(image, policy["always"], rng)
    return run(image, FINISH, rng)


OPS = {
    "solarize": lambda image, rng, threshold: np.where(image < threshold, image, 255 - image),
}


# Steps are (op, probability, numbers); how numbers are drawn says `drawn`. `chance`: the probability that an
# image changes. It then gets `draws` of the sub-policies, each drawn at random, and `always`.
POLICIES = [
    {"chance": 0.4444, "draws": 1, "sub_policies": [
        [("solarize", 1.0, {"threshold": (128.0, 256.0)})],
    ], "always": []},
]


# Applied to every image at the end, augmented or not.
FINISH = []


class DeepaugPolicy(A.ImageOnlyTransform):
    """Applies the policy. `chance`: the probability of augmenting an image; by default each policy's own."""

    def __init__(self, chance=None, p=1.0):
        super().__init__(p=p)
        self.chance = chance

    @property
    def targets(self):
        return {**super().targets, **dict.fromkeys(("mask", "masks", "bboxes", "keypoints"), self.refuse)}

    def refuse(self, *others, **more):
        raise TypeError("masks, boxes and points would not follow the image")

    def get_params(self):
        return {"seed": int(self.random_generator.integers(2**63))}

    def apply(self, img, seed=0, **params):
        pixels = pixels_of(img, (np.uint8, np.float32), "uint8 or float32")
        made = augment(pixels, np.random.default_rng(seed), self.chance)
        if made is pixels:
            return img
        return (made if img.dtype == np.uint8 else made.astype(np.float32) / 255).reshape(img.shape)

    def get_transform_init_args_names(self):
        return ("chance",)
