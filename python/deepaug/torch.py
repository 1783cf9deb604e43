"""Policies and trained models in PyTorch."""

from __future__ import annotations

import os
from typing import Any, Optional, Union

import torch

from ._native import Policy


class PolicyTransform(torch.nn.Module):
    """A policy as a module: inside `torchvision.transforms.v2.Compose`, before values become floats.

    `forward` takes an image, uint8 (C, H, W), a batch of them, or an image of Pillow, and whatever follows it in a sample
    is passed on: labels, for instance. A batch at once, such as in `collate_fn`, is several times as fast as its images
    one by one where they are small. Seeds follow PyTorch's generator.

    A policy that changes during training follows `set_epoch`.
    """

    def __init__(self, policy: Policy, chance: Optional[float] = None) -> None:
        super().__init__()
        self.policy = policy if chance is None else policy.with_chance(chance)
        self._now = self.policy

    def forward(self, image: Any, *others: Any) -> Any:
        """Augments an image, and passes on what follows it."""
        augmented = self._now(image)
        return (augmented, *others) if others else augmented

    def batch(self, images: Any) -> Any:
        """Augments a batch, uint8 (N, C, H, W)."""
        return self._now(images)

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Says which epoch of how many begins, counted from 0. Data loaders whose workers persist need to be made anew."""
        self._now = self.policy.at(epoch, epochs)

    def extra_repr(self) -> str:
        """Returns the policy in words."""
        return str(self.policy)


def load_model(path: Union[str, os.PathLike[str]]) -> torch.nn.Module:
    """Loads a net that `Study.train` wrote, from the file of its weights or of its module, ready to be used: it takes
    floats in 0..1, (N, C, H, W)."""
    stem = os.path.splitext(os.fspath(path))[0]
    module = f"{stem}.py"
    scope: dict[str, Any] = {"__name__": "deepaug_model", "__file__": module}
    with open(module, encoding="utf-8") as file:
        exec(compile(file.read(), module, "exec"), scope)
    weights = os.fspath(path)
    if weights.endswith(".py"):
        beside = [f"{stem}{end}" for end in (".safetensors", ".pt", "") if os.path.isfile(f"{stem}{end}")]
        if not beside:
            raise FileNotFoundError(f"{stem}.safetensors: no weights beside the module")
        weights = beside[0]
    net: torch.nn.Module = scope["load"](weights)
    return net.eval()


def export_onnx(path: Union[str, os.PathLike[str]], out: Union[str, os.PathLike[str]], shape: tuple[int, ...]) -> None:
    """Writes a net that `Study.train` wrote as ONNX, for batches of any size of images of a shape (C, H, W)."""
    net = load_model(path)
    example = torch.zeros((2, *shape))
    names = {"input_names": ["images"], "output_names": ["logits"]}
    torch.onnx.export(net, (example,), os.fspath(out), dynamo=True, dynamic_shapes=({0: "batch"},), **names)
