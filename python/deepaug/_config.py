"""Configurations."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, Union

from . import _native

_NAMES = ("default", "quickstart", "deepaugment")


class Config(Mapping[str, Any]):
    """The keys of `deepaug config`, checked together; an unknown one is an error that names the nearest.

    `base` says where to start: "quickstart" chooses sizes from the data, for about ten minutes on two cores;
    "default" has DeepAugment's values; "deepaugment" is that release's own search; a path is a file of TOML, and a
    mapping changes the default.

        Config("quickstart", model="wrn_16_2", ops=["rotate", "shear"], device="cpu")
    """

    def __init__(self, base: Union[str, os.PathLike[str], Mapping[str, Any]] = "default", /, **keys: Any) -> None:
        if isinstance(base, Config):
            self._set(*_changed(base._toml, keys))
        elif isinstance(base, Mapping):
            self._set(*_native.config("default", None, None, _pairs({**base, **keys})))
        elif isinstance(base, str) and base in _NAMES:
            self._set(*_native.config(base, None, None, _pairs(keys)))
        else:
            self._set(*_native.config("", base, None, _pairs(keys)))

    def _set(self, toml: str, values: str) -> None:
        self._toml = toml
        self._values: dict[str, Any] = json.loads(values)

    @classmethod
    def _of(cls, toml: str, values: str) -> Config:
        config = cls.__new__(cls)
        config._set(toml, values)
        return config

    def replace(self, **keys: Any) -> Config:
        """Returns the configuration with other values for some keys."""
        return Config._of(*_changed(self._toml, keys))

    def to_toml(self) -> str:
        """Returns it as a file with every key, its value and what it means."""
        return self._toml

    def __getitem__(self, key: str, /) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        changed = {key: value for key, value in self.items() if value != _DEFAULT.get(key, object())}
        return f"Config({', '.join(f'{key}={value!r}' for key, value in changed.items())})"


def _changed(toml: str, keys: Mapping[str, Any]) -> tuple[str, str]:
    """Sets keys of a configuration that is given as text."""
    return _native.config("", None, toml, _pairs(keys))


def _pairs(keys: Mapping[str, Any]) -> list[str]:
    pairs = []
    for key, value in keys.items():
        if isinstance(value, Mapping):
            pairs += _pairs({f"{key}.{inner}": each for inner, each in value.items()})
        else:
            pairs.append(f"{key}={_toml_value(key, value)}")
    return pairs


def _toml_value(key: str, value: Any) -> str:
    """Returns a value as TOML."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        return json.dumps(os.fspath(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml_value(key, each) for each in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name} = {_toml_value(key, each)}' for name, each in value.items())}}}"
    raise TypeError(f"{key}: must be a number, a word, a list or a mapping, not {type(value).__name__}")


_DEFAULT: Mapping[str, Any] = json.loads(_native.config("default", None, None, [])[1])
