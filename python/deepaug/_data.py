"""Image sets from what Python has: everything becomes uint8 images, labels, class names, parts and groups."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from ._config import Config
from ._errors import DataError
from ._native import Dataset

_IMAGE_COLUMNS = ("image", "images", "img", "pixels", "path", "file", "filename", "file_name", "filepath")
_LABEL_COLUMNS = ("label", "labels", "class", "target", "y")
_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


class _Set:
    """Images in memory, and what is known of each."""

    def __init__(self) -> None:
        self.images: list[Any] = []
        self.labels: list[str] = []
        self.classes: Optional[list[str]] = None
        self.parts: Optional[list[str]] = None
        self.groups: Optional[list[str]] = None

    def dataset(self, config: Config) -> Dataset:
        images = _bytes(self.images)
        return Dataset._of_images(config.to_toml(), images, self.labels, self.classes, self.parts, self.groups)


def read(
    data: Any,
    *,
    labels: Any = None,
    image_column: Optional[str] = None,
    label_column: Optional[str] = None,
    group_column: Optional[str] = None,
    image_size: Union[int, str, None] = None,
    channels: str = "auto",
    on_bad_image: str = "error",
) -> Dataset:
    """Does what `Dataset.read` says."""
    columns = {"image_column": image_column, "label_column": label_column, "group_column": group_column}
    keys = {key: value for key, value in columns.items() if value is not None}
    size = {} if image_size is None else {"image_size": image_size}
    config = Config("quickstart", channels=channels, on_bad_image=on_bad_image, **size, **keys)
    return read_as(config, data, labels)


def is_path(data: Any) -> bool:
    """Returns whether data is named, not given."""
    return isinstance(data, (str, os.PathLike))


def read_as(config: Config, data: Any, labels: Any = None) -> Dataset:
    """Reads data as a configuration says."""
    if isinstance(data, Dataset):
        if labels is not None:
            raise TypeError("a Dataset has its own labels; leave labels out")
        return data
    if is_path(data):
        if labels is not None:
            raise TypeError("labels cannot be given beside a path; use a pair of arrays, or a table of paths and labels")
        return Dataset._of_path(config.replace(data=os.fspath(data)).to_toml())
    is_table = hasattr(data, "column_names") or (hasattr(data, "iloc") and hasattr(data, "columns"))
    if labels is not None and (is_table or isinstance(data, Mapping)):
        raise TypeError("labels cannot be given beside a table, which has its own; name its column with label_column")
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _frame(config, data)
    if isinstance(data, Mapping) and data and all(hasattr(part, "features") for part in data.values()):
        return _hugging_face(config, dict(data)).dataset(config)
    if hasattr(data, "features") and hasattr(data, "column_names"):
        return _hugging_face(config, {"train": data}).dataset(config)
    if labels is None and isinstance(data, tuple) and len(data) == 2:
        data, labels = data
    made = _Set()
    if labels is not None:
        made.images = _several(data)
        made.labels = _names(labels)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (np.ndarray, Mapping)):
        _map_style(made, data)
    else:
        kind = type(data)
        raise TypeError(
            "data must be a path, a pair of images and labels, a dataset of PyTorch or Hugging Face, a data frame or a "
            f"Dataset, not {kind.__module__}.{kind.__qualname__}; images alone need labels="
        )
    return made.dataset(config)


def _map_style(made: _Set, data: Any) -> None:
    """Reads a dataset of PyTorch, or a list of pairs."""
    labels = []
    for index in range(len(data)):
        item = data[index]
        if not (isinstance(item, (tuple, list)) and len(item) >= 2):
            raise DataError(f"item {index}: must be a pair of an image and a label, not {type(item).__name__}")
        made.images.append(item[0])
        labels.append(item[1])
    names = getattr(data, "classes", None) or getattr(getattr(data, "dataset", None), "classes", None)
    made.labels, made.classes = _named(_names(labels), names)


def _named(labels: list[str], names: Any) -> tuple[list[str], Optional[list[str]]]:
    """Replaces numbers of classes by their names, if there are any."""
    if not isinstance(names, Sequence) or isinstance(names, str):
        return labels, None
    names = [str(name) for name in names]
    if all(label in names for label in labels):
        return labels, names
    if all(label.isdigit() and int(label) < len(names) for label in labels):
        return [names[int(label)] for label in labels], names
    return labels, None


def _hugging_face(config: Config, parts: Mapping[str, Any]) -> _Set:
    """Reads splits of a dataset of Hugging Face."""
    made = _Set()
    first = next(iter(parts.values()))
    features = dict(first.features)
    kind = {name: type(feature).__name__ for name, feature in features.items()}
    image = config["image_column"] or _only(kind, "Image", _IMAGE_COLUMNS, "image_column")
    label = config["label_column"] or _only(kind, "ClassLabel", _LABEL_COLUMNS, "label_column")
    group = config["group_column"]
    for column in filter(None, (image, label, group)):
        if column not in features:
            raise DataError(f"there is no column named {column}, but {', '.join(features)}")
    labels, groups, split = [], [], []
    named = getattr(features[label], "names", None)
    for name, rows in parts.items():
        part = next((_PARTS[word] for word in name.lower().replace("-", "_").split("_") if word in _PARTS), None)
        if part is None:
            raise DataError(f"the split {name} is none of train, validation and test; choose splits, or rename it")
        for index, row in enumerate(rows):
            # Splits that are to be predicted for others have -1.
            if row[label] is None or (named and row[label] == -1):
                raise DataError(f"row {index} of the split {name} has no label; leave it out, or the split")
            made.images.append(row[image])
            labels.append(row[label])
            split.append(part)
            if group:
                groups.append(str(row[group]))
    made.labels, made.classes = _named(_names(labels), named)
    made.parts = split if set(split) != {"train"} else None
    made.groups = groups or None
    return made


def _only(kinds: Mapping[str, str], kind: str, usual: Iterable[str], key: str) -> str:
    """Returns the column of a kind, or one with a usual name."""
    found = [name for name, its in kinds.items() if its == kind] or [name for name in kinds if name.lower() in usual]
    if len(found) != 1:
        raise DataError(f"which column? There are {', '.join(kinds)}. Set {key}")
    return found[0]


def _frame(config: Config, frame: Any) -> Dataset:
    """Reads a data frame with a column of paths or of images."""
    columns = {str(name): name for name in frame.columns}
    if len(columns) < len(frame.columns):
        raise DataError("several columns have one name; rename them")

    def column(key: str, usual: Iterable[str]) -> str:
        named = config[key]
        if named:
            if named not in columns:
                raise DataError(f"there is no column named {named}, but {', '.join(columns)}")
            return str(named)
        return _only(dict.fromkeys(columns, ""), "column", usual, key)

    image, label = column("image_column", _IMAGE_COLUMNS), column("label_column", _LABEL_COLUMNS)
    group = config["group_column"]
    split = next((name for name in columns if name.lower() in ("split", "set", "subset")), None)
    values = {name: list(frame[columns[name]]) for name in filter(None, (image, label, group, split))}
    for name in (image, label):
        empty = frame[columns[name]].isna()
        if empty.any():
            raise DataError(f"row {int(np.argmax(empty.to_numpy()))}: nothing in the column {name}")
    values[label] = _names(values[label])
    if all(is_path(value) for value in values[image]):
        with tempfile.TemporaryDirectory() as folder:
            table = os.path.join(folder, "frame.csv")
            with open(table, "w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file)
                rows.writerow(values)
                for cells in zip(*values.values()):
                    row = dict(zip(values, cells))
                    row[image] = os.path.abspath(os.fspath(row[image]))
                    rows.writerow(row.values())
            keys = {"image_column": image, "label_column": label, "split_column": split or ""}
            return Dataset._of_path(config.replace(data=table, data_format="csv", data_cache=False, **keys).to_toml())
    made = _Set()
    made.images = values[image]
    made.labels = values[label]
    made.groups = [str(value) for value in values[group]] if group else None
    if split:
        parts = [_PARTS.get(str(value).lower()) for value in values[split]]
        if None in parts:
            raise DataError(f"row {parts.index(None)}: {split} must be train, validation or test")
        made.parts = [part for part in parts if part]
    return made.dataset(config)


def _names(labels: Any) -> list[str]:
    """Returns labels as words, from numbers, words or one-hot rows."""
    if isinstance(labels, (list, tuple)):
        for index, label in enumerate(labels):
            if label is None or (not isinstance(label, Iterable) and str(label) in ("nan", "NaT", "<NA>")):
                raise DataError(f"label {index} is missing; leave out images without labels")
    array = np.asarray(_plain(labels) if not isinstance(labels, (list, tuple)) else [_plain(label) for label in labels])
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        is_hot = np.all((array == 0) | (array == 1), axis=1) & (np.sum(array, axis=1) == 1)
        if not np.all(is_hot):
            raise DataError(f"row {int(np.argmin(is_hot))} of the labels is not a single 1 among zeros")
        array = np.argmax(array, axis=1)
    if array.ndim != 1:
        raise DataError(f"labels must be (N,), (N, 1) or one-hot (N, classes), not {array.shape}")
    if array.dtype.kind == "f":
        wrong = np.flatnonzero(array != np.floor(array))
        if wrong.size:
            raise DataError(f"label {int(wrong[0])} is {array[wrong[0]]}, which is not a whole number")
        array = array.astype(np.int64)
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    return [str(label) for label in array.tolist()]


def _plain(value: Any) -> Any:
    """Returns a tensor as an array, and anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _several(images: Any) -> list[Any]:
    """Returns images one by one."""
    images = _plain(images)
    if isinstance(images, np.ndarray) and images.dtype != object:
        if images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.shape[1] in (1, 3, 4):
            images = images.transpose(0, 2, 3, 1)
        if images.ndim not in (3, 4):
            raise DataError(f"images must be (N, H, W), (N, H, W, C) or (N, C, H, W), not {images.shape}")
        # Those of an array have one depth, and one is found for all of them at once.
        return list(images)
    return list(images)


def _bytes(images: Sequence[Any]) -> list[npt.NDArray[np.uint8]]:
    """Brings images to uint8, (H, W, C): all of them by the same range of values."""
    arrays = [_array(index, image) for index, image in enumerate(images)]
    for index, array in enumerate(arrays):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"image {index}: it contains NaN or infinity")
    depths = {"floats" if a.dtype.kind == "f" else "bytes" if a.dtype.itemsize == 1 else "wider integers" for a in arrays}
    if len(depths) > 1:
        raise DataError(f"images are of different kinds, {' and '.join(sorted(depths))}; bring all to uint8")
    high = max((float(array.max()) for array in arrays if array.size), default=0.0)
    low = min((float(array.min()) for array in arrays if array.size), default=0.0)
    if any(array.dtype.kind == "f" for array in arrays):
        # Between 1 and a level that a picture of bytes would have, neither scale is meant.
        if low < 0 or high > 255 or 1 < high < 64:
            raise DataError(
                f"values reach from {low:g} to {high:g}: perhaps they were normalised. Give uint8, or floats in 0..1"
            )
        scale = 255.0 if high <= 1 else 1.0
    elif low < 0:
        raise DataError(f"values reach from {low:g} to {high:g}; images cannot be negative")
    elif high <= 1:
        scale = 255.0
    elif high <= 255:
        scale = 1.0
    else:
        bits = next((bits for bits in (10, 12, 14, 16) if high < 2**bits), None)
        if bits is None:
            raise DataError(f"values reach up to {high:g}, more than 16 bits")
        scale = 255.0 / (2**bits - 1)
    return [_opaque(_scaled(array, scale)) for array in arrays]


def _scaled(array: npt.NDArray[Any], scale: float) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8 and scale == 1.0:
        return array
    # Half a level rounds up, as where arrays are read from files.
    scaled: npt.NDArray[np.uint8] = np.clip(np.floor(array * scale + 0.5), 0, 255).astype(np.uint8)
    return scaled


def _opaque(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Lays a transparent image over white."""
    if array.shape[2] != 4:
        return array
    alpha = array[:, :, 3:].astype(np.float64) / 255
    opaque: npt.NDArray[np.uint8] = np.floor(array[:, :, :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
    return opaque


def _array(index: int, image: Any) -> npt.NDArray[Any]:
    """Returns an image of any kind as (H, W, C)."""
    is_tensor = hasattr(image, "detach")
    if isinstance(image, Mapping) and image.get("bytes"):
        image = image["bytes"]
    if isinstance(image, (bytes, bytearray)):
        image = _decoded(index, bytes(image))
    if hasattr(image, "mode") and hasattr(image, "convert"):
        image = _pillow(image)
    array = np.asarray(_plain(image))
    if array.dtype.kind not in "uifb":
        raise DataError(f"image {index}: must be an array, a tensor or an image of Pillow, not {type(image).__name__}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and (is_tensor or array.shape[2] not in (1, 3, 4)):
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise DataError(f"image {index}: must be (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels, not {array.shape}")
    return array


def _decoded(index: int, encoded: bytes) -> Any:
    import io

    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(f"image {index}: encoded images need Pillow; pip install pillow") from error
    try:
        return Image.open(io.BytesIO(encoded))
    except OSError as error:
        raise DataError(f"image {index}: {error}") from error


def _pillow(image: Any) -> Any:
    """Returns an image of Pillow in a mode that is an array of values."""
    if image.mode in ("RGB", "L", "RGBA") or image.mode.startswith("I") or image.mode == "F":
        return image
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def save(dataset: Dataset, path: Union[str, os.PathLike[str]]) -> None:
    """Writes a set where the command can read it again, the same in every respect."""
    arrays: dict[str, Any] = {
        "images": dataset.images,
        "labels": dataset.labels,
        "class_names": np.array(dataset.classes),
    }
    parts = dataset.parts
    if set(parts) != {"train"}:
        arrays["split"] = np.array(parts)
    if dataset.groups is not None:
        arrays["groups"] = dataset.groups
    part = f"{os.fspath(path)}.part.npz"
    np.savez(part, **arrays)
    os.replace(part, path)
