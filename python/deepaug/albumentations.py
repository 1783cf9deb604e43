"""Policies in albumentations."""

from __future__ import annotations

from typing import Any

import albumentations
import numpy as np
import numpy.typing as npt

from ._native import Policy


class PolicyTransform(albumentations.ImageOnlyTransform):
    """A policy as a transform of albumentations: inside its `Compose`, whose seed it follows. Images alone are changed,
    so boxes and masks must not be among the targets if the policy has geometric ops.
    """

    def __init__(self, policy: Policy, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.policy = policy

    def apply(self, img: npt.NDArray[np.uint8], **params: Any) -> npt.NDArray[np.uint8]:
        """Augments an image."""
        augmented: npt.NDArray[np.uint8] = self.policy(img, seed=self.py_random.getrandbits(63))
        return augmented

    def get_transform_init_args_names(self) -> tuple[str, ...]:
        """Returns the names of its arguments."""
        return ("policy",)
