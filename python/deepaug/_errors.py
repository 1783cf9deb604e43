"""What can go wrong. Files and folders that cannot be read or written are subclasses of OSError."""

from __future__ import annotations

from typing import Optional


class DeepaugError(Exception):
    """Anything that deepaug refuses, or that failed."""

    code: int = 1
    """The exit code of the command for this error."""
    path: Optional[str] = None
    """The file or folder that it is about."""


class ConfigError(DeepaugError, ValueError):
    """A configuration that cannot be used."""


class DataError(DeepaugError, ValueError):
    """Images or labels that cannot be used."""


class DeviceError(DeepaugError, RuntimeError):
    """A device that cannot be used."""


class StudyError(DeepaugError, RuntimeError):
    """A study that is locked, damaged, or does not fit."""


class TrainError(DeepaugError, RuntimeError):
    """A model that cannot be trained."""


class PolicyError(DeepaugError, ValueError):
    """A policy that cannot be used: wrong JSON, magnitudes, or ops that a library cannot do."""


class Pruned(Exception):
    """Raised by `Trial.report` when the trial is to end. An objective lets it through: its trial has not failed."""


for _error in (DeepaugError, ConfigError, DataError, DeviceError, StudyError, TrainError, PolicyError, Pruned):
    _error.__module__ = "deepaug"
