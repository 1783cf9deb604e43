"""Policies on what is no array: tensors of PyTorch, images of Pillow."""

from __future__ import annotations

import sys
from typing import Any, Optional

import numpy as np

from ._native import Policy

_WHERE = "apply the policy before values become floats or leave the CPU, such as before ToDtype and .to(device)"


def apply(policy: Policy, images: Any, seed: Optional[int]) -> Any:
    """Augments images of another kind than arrays, and returns the same kind."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(images, torch.Tensor):
        return _tensor(torch, policy, images, seed)
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(images, pillow.Image):
        return _pillow(pillow, policy, images, seed)
    if isinstance(images, np.ndarray):
        raise TypeError(f"images must be uint8, not {images.dtype}; {_WHERE}")
    if isinstance(images, dict):
        raise TypeError("a policy changes images alone, not the boxes or masks beside them; give it the image")
    kind = type(images)
    raise TypeError(f"images must be an array, a tensor or an image of Pillow, not {kind.__module__}.{kind.__qualname__}")


def _tensor(torch: Any, policy: Policy, images: Any, seed: Optional[int]) -> Any:
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be uint8, not {images.dtype}; {_WHERE}")
    if images.device.type != "cpu":
        raise TypeError(f"images must be on the CPU, not on {images.device}; {_WHERE}")
    if images.dim() not in (3, 4):
        raise ValueError(f"images must be (C, H, W) or (N, C, H, W), not of {images.dim()} axes")
    to_last = (1, 2, 0) if images.dim() == 3 else (0, 2, 3, 1)
    to_first = (2, 0, 1) if images.dim() == 3 else (0, 3, 1, 2)
    pixels = images.detach().permute(to_last).numpy()
    made = torch.from_numpy(policy(pixels, seed=seed)).permute(to_first)
    if type(images) is torch.Tensor:
        return made
    vision = sys.modules.get("torchvision.tv_tensors")
    if vision is None or not isinstance(images, vision.Image):
        raise TypeError(f"a policy changes images alone, not {type(images).__name__}")
    return vision.wrap(made, like=images)


def _pillow(pillow: Any, policy: Policy, image: Any, seed: Optional[int]) -> Any:
    if image.mode not in ("RGB", "L"):
        raise TypeError(f'images must have the mode "RGB" or "L", not {image.mode!r}; use image.convert("RGB")')
    return pillow.fromarray(policy(np.asarray(image), seed=seed))
