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
        self.chance = chance
        super().__init__(self.augment_all, self.refuse, self.refuse, self.refuse, seed=seed)

    def augment_all(self, images, random_state, parents, hooks):
        rng, pixels = random_state.generator, [pixels_of(image, (np.uint8,), "uint8") for image in images]
        made = [augment(each, rng, self.chance) for each in pixels]
        made = [each.reshape(image.shape) for each, image in zip(made, images)]
        return np.stack(made) if isinstance(images, np.ndarray) else made

    def refuse(self, *others):
        raise TypeError("heatmaps, maps, boxes and points would not follow the image")
