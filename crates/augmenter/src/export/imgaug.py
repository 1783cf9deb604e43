"""Image augmentation for imgaug 0.4.0, written by `deepaug export`.

<policy>

<meaning>

    augmenter = DeepaugPolicy()
    batch = augmenter(images=batch)

Takes uint8 arrays of height x width x channels with 1 or 3 channels, or height x width. Needs OpenCV 4, and
NumPy below 2, as imgaug 0.4.0 does: pip install "numpy<2".
"""

import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np


def each(function):
    """An augmenter that calls function(image, rng) for each image."""

    def augment(images, random_state, parents, hooks):
        return [np.ascontiguousarray(function(image, random_state.generator)) for image in images]

    return iaa.Lambda(func_images=augment)


def apply(image, sub_policy, seed=None):
    """Applies one sub-policy, of those of all policies counted from 0, to a uint8 image."""
    augmenter = [function for _, functions in POLICIES for function in functions][sub_policy]()
    augmenter.seed_(seed)
    return augmenter.augment_image(image)


class DeepaugPolicy(iaa.Sequential):
    """Applies the policy. `chance`: the probability of augmenting an image; by default each policy's own."""

    def __init__(self, chance=None, seed=None):
        policies = [
            iaa.Sometimes(own if chance is None else chance, iaa.OneOf([make() for make in functions]))
            for own, functions in POLICIES
        ]
        super().__init__([iaa.OneOf(policies)] + ([FINISH()] if FINISH else []), seed=seed)
