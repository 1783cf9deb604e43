"""Finds the data augmentation that is right for a set of labelled images, and says whether it helps.

    import deepaug

    study = deepaug.optimize("my-images")     # a folder with a folder for each class
    print(study.verdict)                      # use what, and how much it gains
    augmented = study.best_policy(images)     # arrays, tensors or Pillow's images
"""

import os as _os

if "XDG_RUNTIME_DIR" not in _os.environ:
    # Without a desktop session, Mesa's device-select layer complains on stderr; it has nothing to select here.
    _os.environ.setdefault("NODEVICE_SELECT", "1")

from ._config import Config
from ._errors import (
    ConfigError,
    DataError,
    DeepaugError,
    DeviceError,
    PolicyError,
    Pruned,
    StudyError,
    TrainError,
)
from ._native import Application, Dataset, Policy, Sheet, Trial, __version__, ops, set_threads
from ._policy import Step
from ._results import Comparison, Event, FrozenTrial, Gain, Scheme, Trained, Trials
from ._study import Executor, Study, optimize

__all__ = [
    "Application",
    "Comparison",
    "Config",
    "ConfigError",
    "DataError",
    "Dataset",
    "DeepaugError",
    "DeviceError",
    "Event",
    "Executor",
    "FrozenTrial",
    "Gain",
    "Policy",
    "PolicyError",
    "Pruned",
    "Scheme",
    "Sheet",
    "Step",
    "Study",
    "StudyError",
    "TrainError",
    "Trained",
    "Trial",
    "Trials",
    "__version__",
    "ops",
    "optimize",
    "set_threads",
]
