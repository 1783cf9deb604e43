"""Images and studies for all tests."""

import numpy as np
import pytest

import deepaug

SMALL = {
    "model": "tinycnn",
    "device": "cpu",
    "iters": 3,
    "child_epochs": 2,
    "opt_samples": 1,
    "opt_initial_points": 2,
    "train_set_size": 60,
    "validation_set_size": 40,
    "confirm_policies": 1,
    "confirm_samples": 3,
    "workers": 1,
}


@pytest.fixture(scope="session")
def clothes():
    """Photographs of clothes, and their labels."""
    dataset = deepaug.Dataset.read("fashion-mnist-sample")
    return dataset.images[:400].copy(), dataset.labels[:400].copy()


@pytest.fixture
def small():
    """A configuration of a search that takes a second."""
    return deepaug.Config("default", **SMALL)


@pytest.fixture(scope="session")
def finished(clothes, tmp_path_factory):
    """A finished study of images in memory."""
    config = deepaug.Config("default", **SMALL)
    return deepaug.optimize(clothes, config, study=tmp_path_factory.mktemp("studies") / "finished")


@pytest.fixture
def pictures():
    """Colour images of noise."""
    return np.random.default_rng(7).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
