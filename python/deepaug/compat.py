"""The interface of DeepAugment 1.1.2: its README runs with one import changed.

    from deepaug.compat import DeepAugment

    deepaug = DeepAugment(my_images, my_labels)
    best_policies = deepaug.optimize(300)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np
import numpy.typing as npt

from ._config import Config
from ._data import _names
from ._errors import ConfigError
from ._native import Application, Policy
from ._results import FrozenTrial
from ._study import Study, optimize

if TYPE_CHECKING:
    import pandas

_DEFAULTS: Mapping[str, Any] = {
    "model": "basiccnn",
    "method": "bayesian_optimization",
    "train_set_size": 2000,
    "opt_samples": 3,
    "opt_last_n_epochs": 3,
    "opt_initial_points": 10,
    "child_epochs": 50,
    "child_first_train_epochs": 0,
    "child_batch_size": 64,
    "pre_aug_weights_path": "pre_aug_weights.safetensors",
    "notebook_path": "notebook.csv",
}
_IGNORED = ("logging",)
_TOP = 20


class DeepAugment:
    """Searches as DeepAugment 1.1.2 does, with deepaug's engine; `study` is the way onwards.

    Images are (N, H, W, C), of bytes or floats in 0..1. Of names, "fashion_mnist" is a sample that is built in;
    "cifar10" is not downloaded: give its arrays or its path. Keys of the configuration are those of that release;
    any of `deepaug config` may be added. Nothing is trained before `optimize`, and no folder is made by the import.
    """

    def __init__(
        self,
        images: Union[npt.NDArray[Any], str] = "cifar10",
        labels: Optional[npt.ArrayLike] = None,
        config: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.config: dict[str, Any] = {**_DEFAULTS, **(config or {})}
        self.iterated = 0
        self._data: Any = images
        self._labels = labels
        self._study: Optional[Study] = None
        if isinstance(images, str):
            self._data = _named(images)
        elif labels is None:
            raise ValueError("labels are needed beside images")
        if not isinstance(self.config["model"], str):
            raise ConfigError(
                "model must be the name of a net; to search with a model of your own, give deepaug.optimize an objective"
            )
        if self.config["model"].lower() == "basicregression":
            raise ConfigError('model "basicregression" is not supported: deepaug is for classifiers')
        keys = {key: value for key, value in self.config.items() if key not in _IGNORED}
        keys["model"] = keys["model"].lower()
        for key in ("notebook_path", "pre_aug_weights_path"):
            # They lie in the study's folder.
            keys[key] = Path(keys[key]).name.replace(".h5", ".safetensors")
        self._config = Config("deepaugment", **keys)

    def optimize(self, iterations: int = 300) -> pandas.DataFrame:
        """Tries so many policies, in addition to those of earlier calls, and returns the best 20 trials."""
        if self._study is None:
            self._study = optimize(self._data, self._config, labels=self._labels, iterations=iterations)
        else:
            data = None if isinstance(self._data, str) else (self._data, self._labels)
            self._study.optimize(data, iterations=self.iterated + iterations)
        self.iterated += iterations
        return self.top_policies

    @property
    def study(self) -> Study:
        """The study of this search."""
        if self._study is None:
            raise RuntimeError("call optimize first")
        return self._study

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        if isinstance(self._data, str):
            raise RuntimeError("known only for images that are given")
        return len(set(_names(self._labels)))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels of the images."""
        if isinstance(self._data, str):
            raise RuntimeError("known only for images that are given")
        return tuple(np.shape(self._data)[1:])

    @property
    def top_policies(self) -> pandas.DataFrame:
        """The best 20 trials by reward, with the columns of DeepAugment 1.1.2."""
        import pandas

        trials = [trial for trial in self.study.trials if trial.state == "complete" and trial.reward is not None]
        baseline = trials[0].reward if trials and trials[0].number == 0 else None
        trials.sort(key=lambda trial: -(trial.reward or 0.0))
        return pandas.DataFrame([_row(trial, baseline) for trial in trials[:_TOP]])

    def image_generator_with_top_policies(
        self, images: npt.NDArray[Any], labels: npt.ArrayLike, batch_size: Optional[int] = None
    ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Yields batches for ever, shuffled anew in each pass: with a chance of one half an image gets a sub-policy of one
        of the top policies; all are shifted by up to 4 pixels of 32 and get a grey square of 6.

        DeepAugment 1.1.2 keeps a copy of such an image for each sub-policy, so its batches vary in size; these have
        `batch_size` images.
        """
        size = batch_size or int(self.config["child_batch_size"])
        policies = [trial.policy for trial in self.study.top_policies(_TOP)]
        return _batches(policies, np.asarray(images), np.asarray(labels), size, self._config["seed"])


def _batches(
    policies: list[Policy], images: npt.NDArray[Any], labels: npt.NDArray[Any], size: int, seed: int
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    random = np.random.default_rng(seed)
    is_float = images.dtype.kind == "f"
    way = Application.online(chance=0.5, pad=4 / 32, flip=False, cutout=6 / 32)
    applied = [policy.with_application(way) for policy in policies]
    while True:
        order = random.permutation(len(images))
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            pixels = images[chosen]
            if is_float:
                pixels = np.clip(pixels * 255 + 0.5, 0, 255).astype(np.uint8)
            made = np.empty_like(pixels)
            which = random.integers(len(applied), size=len(chosen))
            for policy in np.unique(which):
                of_policy = which == policy
                made[of_policy] = applied[policy](pixels[of_policy], seed=int(random.integers(2**63)))
            yield (made.astype(images.dtype) / 255 if is_float else made), labels[chosen]


def _named(name: str) -> str:
    if name in ("fashion_mnist", "fashion-mnist"):
        warnings.warn("fashion_mnist is the sample that is built in: 4,000 images and 1,000 to test", stacklevel=3)
        return "fashion-mnist-sample"
    if name == "cifar10" and not Path(name).exists():
        raise FileNotFoundError('"cifar10" is not downloaded here: give its arrays, or the path of its files')
    return name


def _row(trial: FrozenTrial, baseline: Optional[float]) -> dict[str, Any]:
    row: dict[str, Any] = {"trial_no": trial.number}
    sub_policies = trial.policy.sub_policies
    for place, letter in enumerate("ABCDE"):
        steps = sub_policies[place] if place < len(sub_policies) else ()
        for number in (1, 2):
            step = steps[number - 1] if number <= len(steps) else None
            row[f"{letter}_aug{number}_type"] = step.op.replace("-", "") if step else ""
            row[f"{letter}_aug{number}_magnitude"] = step.magnitude if step else 0.0
    row["mean_late_val_acc"] = trial.reward
    gain = None if baseline is None or trial.reward is None else 100 * (trial.reward - baseline)
    row["expected_accuracy_increase(%)"] = gain
    return row
