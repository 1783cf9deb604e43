"""Image augmentation for albumentations 1.4.21 to 2, written by `deepaug export`.

<policy>

<meaning>

    transform = A.Compose([DeepaugPolicy(), A.Normalize()], seed=1)
    augmented = transform(image=image)["image"]

Takes arrays of height x width x channels with 1 or 3 channels, or height x width: uint8, or float32 from 0 to 1,
which are rounded to 256 values. Anything else is a TypeError or a ValueError.<needs>
"""

import albumentations as A
import numpy as np


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
