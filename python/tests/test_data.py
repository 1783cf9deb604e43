"""Image sets from whatever Python has."""

import numpy as np
import pytest

import deepaug
from deepaug import Config, Dataset
from deepaug._data import save

PIL = pytest.importorskip("PIL.Image")


def test_arrays(clothes):
    images, labels = clothes
    dataset = Dataset.read((images, labels))
    assert len(dataset) == 400 and dataset.images.shape == (400, 28, 28, 1) and dataset.classes == [str(i) for i in range(10)]
    assert (dataset.images == images).all() and (dataset.labels == labels).all()
    with pytest.raises(ValueError):
        dataset.images[0] = 1
    view = dataset.images
    del dataset
    assert (view == images).all(), "the view keeps the set alive"
    hot = np.eye(10)[labels]
    floats = (images / 255).astype(np.float32)
    for data in [
        (images[..., 0], labels),
        (floats, labels[:, None]),
        (images.transpose(0, 3, 1, 2), hot),
        (list(images), list(labels)),
        (images.astype(np.int32), labels.astype(np.float64)),
    ]:
        other = Dataset.read(data)
        assert (other.images == images).all() and (other.labels == labels).all()
    named = Dataset.read(images, labels=[f"class {label}" for label in labels])
    assert named.classes[3] == "class 3"


def test_a_set_that_is_saved_is_read_the_same(clothes, tmp_path):
    images, labels = clothes
    images = np.concatenate([images, images[:5]])
    labels = np.concatenate([labels, labels[:5]])
    names = ["shirt", "trouser", "jumper", "dress", "coat", "sandal", "blouse", "sneaker", "bag", "boot"]
    parts = np.where(np.arange(405) % 5 == 0, "test", "train").tolist()
    config = Config("quickstart")
    words = [names[label] for label in labels]
    dataset = Dataset._of_images(config.to_toml(), list(images), words, names, parts, [str(i // 3) for i in range(405)])
    save(dataset, tmp_path / "set.npz")
    again = Dataset.read(tmp_path / "set.npz")
    assert (again.images == dataset.images).all() and (again.labels == dataset.labels).all()
    assert again.classes == dataset.classes == names and again.parts == dataset.parts == parts
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]
    for name, part in dataset.split(config).items():
        assert (again.split(config)[name] == part).all(), name
    parted = dataset.split(config)
    assert set(parted["test"]) == {i for i in range(405) if i % 5 == 0}


def test_pillow_and_sizes(clothes):
    images, labels = clothes
    grey = [PIL.fromarray(image[..., 0]) for image in images[:60]]
    dataset = Dataset.read((grey, labels[:60]))
    assert (dataset.images == images[:60]).all()
    mixed = [image.resize((40 + index % 9, 50)).convert("RGB") for index, image in enumerate(grey)]
    assert Dataset.read((mixed, labels[:60])).images.shape == (60, 32, 32, 3)
    assert Dataset.read((mixed, labels[:60]), channels="grey").images.shape == (60, 32, 32, 1)
    assert Dataset.read((mixed, labels[:60]), image_size=24, channels="rgb").images.shape == (60, 24, 24, 3)
    clear = [image.convert("RGBA") for image in grey]
    for image in clear:
        image.putalpha(0)
    assert (Dataset.read((clear, labels[:60]), image_size=0).images == 255).all()


class MapStyle:
    classes = [f"kind {i}" for i in range(10)]

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return PIL.fromarray(self.images[index][..., 0]), int(self.labels[index])


def test_map_style_datasets(clothes):
    dataset = Dataset.read(MapStyle(*clothes))
    assert (dataset.images == clothes[0]).all() and dataset.classes[4] == "kind 4"
    pairs = [(image, label) for image, label in zip(*clothes)]
    assert (Dataset.read(pairs).labels == clothes[1]).all()


class Image:
    pass


class ClassLabel:
    names = [f"kind {i}" for i in range(10)]


class HuggingFace:
    """As much of a dataset of Hugging Face as is looked at."""

    features = {"image": Image(), "label": ClassLabel()}
    column_names = ["image", "label"]

    def __init__(self, images, labels):
        self.rows = [{"image": PIL.fromarray(i[..., 0]), "label": int(k)} for i, k in zip(images, labels)]

    def __iter__(self):
        return iter(self.rows)


def test_hugging_face_splits_are_kept(clothes):
    images, labels = clothes
    both = {"train": HuggingFace(images[:300], labels[:300]), "test": HuggingFace(images[300:], labels[300:])}
    dataset = Dataset.read(both)
    assert dataset.parts == ["train"] * 300 + ["test"] * 100 and dataset.classes[2] == "kind 2"
    assert (dataset.images == images).all()
    alone = Dataset.read(both["train"])
    assert set(alone.parts) == {"train"} and len(alone) == 300
    with pytest.raises(deepaug.DataError, match="row 0 of the split test has no label"):
        Dataset.read({"train": both["train"], "test": HuggingFace(images[:4], [-1] * 4)})
    with pytest.raises(TypeError, match="beside a table"):
        Dataset.read(both["train"], labels=labels[:300])
    with pytest.raises(TypeError, match="not builtins.dict"):
        Dataset.read({"image": images, "label": labels})
    with pytest.raises(deepaug.DataError, match="unsupervised"):
        Dataset.read({"unsupervised": both["train"]})


def test_data_frames(clothes, tmp_path):
    pandas = pytest.importorskip("pandas")
    images, labels = clothes
    paths = []
    for index, image in enumerate(images[:60]):
        paths.append(tmp_path / f"{index}.png")
        PIL.fromarray(image[..., 0]).save(paths[-1])
    frame = pandas.DataFrame({"file": paths, "label": labels[:60], "split": ["train", "test"] * 30, "who": range(60)})
    dataset = Dataset.read(frame)
    assert (dataset.images == images[:60]).all() and dataset.parts == ["train", "test"] * 30
    held = Dataset.read(pandas.DataFrame({"image": list(images[:60]), "label": labels[:60]}))
    assert (held.images == images[:60]).all()
    with pytest.raises(deepaug.DataError, match="Set label_column"):
        Dataset.read(frame.rename(columns={"label": "what"}))
    with pytest.raises(deepaug.DataError, match="row 3: nothing in the column file"):
        Dataset.read(pandas.DataFrame({"file": [*paths[:3], None], "label": [0, 1, 0, 1]}))


@pytest.mark.parametrize(
    "data, words",
    [
        ((np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0]), "4 images but 3 labels"),
        ((np.zeros((4, 8, 8, 3), np.uint8), [0, 0, 0, 0]), "only one class"),
        ((np.full((2, 8, 8), np.nan), [0, 1]), "image 0: it contains NaN"),
        ((np.stack([np.zeros((8, 8)), np.full((8, 8), np.nan)]), [0, 1]), "image 1: it contains NaN"),
        (([np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint16)], [0, 1]), "different kinds, bytes and wider"),
        ((np.full((2, 8, 8), -1.5), [0, 1]), "perhaps they were normalised"),
        ((np.full((2, 8, 8), 37.5), [0, 1]), "perhaps they were normalised"),
        ((np.zeros((2, 8), np.uint8), [0, 1]), r"not \(2, 8\)"),
        ((np.zeros((2, 8, 8, 2), np.uint8), [0, 1]), "1, 3 or 4 channels"),
        ((np.zeros((2, 8, 8), np.uint8), [0.5, 1]), "label 0 is 0.5"),
        ((np.zeros((2, 8, 8), np.uint8), [[1, 1], [0, 1]]), "row 0 of the labels"),
        ((["a", "b"], [0, 1]), "image 0: must be an array"),
        ([1, 2, 3], "item 0: must be a pair"),
        (([], []), "there are no images"),
        ((np.zeros((2, 8, 8), np.uint8), [0, None]), "label 1 is missing"),
    ],
)
def test_data_that_cannot_be_used_is_refused_by_name(data, words):
    with pytest.raises(deepaug.DataError, match=words):
        Dataset.read(data)


def test_paths(tmp_path):
    with pytest.raises((deepaug.DataError, OSError)):
        Dataset.read(tmp_path / "nothing")
    with pytest.raises(TypeError, match="labels cannot be given beside a path"):
        Dataset.read(tmp_path, labels=[1])
    with pytest.raises(TypeError, match="images alone need labels="):
        Dataset.read(np.zeros((2, 8, 8), np.uint8))
    assert "400" in Dataset.read("fashion-mnist-sample")._repr_html_()
