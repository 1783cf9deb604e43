"""Image augmentation for albumentations, written by `deepaug export`.

Policy: solarize 0.50 on 80 %.

An image stays unchanged with probability 1 - chance; otherwise it gets one of the sub-policies, all equally
likely. Its ops are applied in order, with numbers drawn anew for each image. In the search, each of the S
sub-policies copied a portion of the images, and training drew from originals and copies alike: that is a
chance of S portion / (1 + S portion), listed with the sub-policies in POLICIES below. To change it:
DeepaugPolicy(chance=0.9).

    transform = A.Compose([DeepaugPolicy(), A.Normalize()], seed=1)
    augmented = transform(image=image)["image"]

Takes uint8 arrays of height x width x channels with 1 or 3 channels, or height x width.
"""

import albumentations as A
import numpy as np


def solarize(image, threshold):
    """Inverts the values from the threshold on."""
    return np.where(image < threshold, image, 255 - image)


def sub_policy_1(image, rng):
    # solarize 0.50
    image = solarize(image, rng.uniform(128.0, 256.0))
    return image


# For each policy: the probability that it changes an image, and its sub-policies.
POLICIES = [
    (0.4444, [sub_policy_1]),
]


# Applied to every image at the end, augmented or not.
FINISH = None


def apply(image, sub_policy, rng):
    """Applies one sub-policy, of those of all policies counted from 0, to a uint8 image."""
    flat = [function for _, functions in POLICIES for function in functions]
    pixels = image.reshape(image.shape[:2] + (-1,))
    return np.ascontiguousarray(flat[sub_policy](pixels, rng)).reshape(image.shape)


class DeepaugPolicy(A.ImageOnlyTransform):
    """Applies the policy. `chance`: the probability of augmenting an image; by default each policy's own."""

    def __init__(self, chance=None, p=1.0):
        super().__init__(p=p)
        self.chance = chance

    def get_params(self):
        policy = self.py_random.randrange(len(POLICIES))
        chance, functions = POLICIES[policy]
        chosen = None
        if self.py_random.random() < (chance if self.chance is None else self.chance):
            before = sum(len(functions) for _, functions in POLICIES[:policy])
            chosen = before + self.py_random.randrange(len(functions))
        return {"sub_policy": chosen, "seed": int(self.random_generator.integers(2**63))}

    def apply(self, img, sub_policy=None, seed=0, **params):
        rng = np.random.default_rng(seed)
        if sub_policy is not None:
            img = apply(img, sub_policy, rng)
        if not FINISH:
            return img
        return np.ascontiguousarray(FINISH(img.reshape(img.shape[:2] + (-1,)), rng)).reshape(img.shape)

    def get_transform_init_args_names(self):
        return ("chance",)
