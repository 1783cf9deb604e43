"""Image augmentation for imgaug 0.4.0, written by `deepaug export`.

<policy>

<meaning>

    augmenter = DeepaugPolicy()
    batch = augmenter(images=batch)

Takes uint8 arrays of height x width x channels with 1 or 3 channels, or height x width. Anything else is a
TypeError or a ValueError.<needs>
imgaug 0.4.0 itself needs NumPy below 2: pip install "numpy<2".
"""

import imgaug.augmenters as iaa
import numpy as np


class DeepaugPolicy(iaa.Lambda):
    """Applies the policy. `chance`: the probability of augmenting an image; by default each policy's own."""

    def __init__(self, chance=None, seed=None):
        def one(image, rng):
            return augment(pixels_of(image, (np.uint8,), "uint8"), rng, chance).reshape(image.shape)

        def augment_all(images, random_state, parents, hooks):
            made = [one(image, random_state.generator) for image in images]
            return np.stack(made) if isinstance(images, np.ndarray) else made

        super().__init__(func_images=augment_all, seed=seed)
