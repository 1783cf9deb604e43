"""DeepAugment's own interface."""

import numpy as np
import pytest

import deepaug
from conftest import SMALL

pandas = pytest.importorskip("pandas")

TINY = {**SMALL, "logging": object(), "pre_aug_weights_path": "pre_aug_weights.h5", "notebook_path": "/somewhere/notebook.csv"}
TINY.pop("iters")


def test_the_readme_runs_with_one_import_changed(clothes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from deepaug.compat import DeepAugment

    my_images, my_labels = clothes
    search = DeepAugment(my_images / 255, my_labels, TINY)
    assert not (tmp_path / "reports").exists(), "nothing is made before a search"
    assert (search.num_classes, search.input_shape) == (10, (28, 28, 1))
    best_policies = search.optimize(2)
    columns = list(best_policies.columns)
    assert columns[0] == "trial_no" and columns[1:3] == ["A_aug1_type", "A_aug1_magnitude"]
    assert columns[-3:] == ["E_aug2_magnitude", "mean_late_val_acc", "expected_accuracy_increase(%)"]
    assert list(best_policies["mean_late_val_acc"]) == sorted(best_policies["mean_late_val_acc"], reverse=True)
    assert len(best_policies) == 3 and search.iterated == 2
    assert len(search.optimize(1)) == 4 and search.iterated == 3
    assert (search.study.path / "notebook.csv").is_file()

    batches = search.image_generator_with_top_policies(my_images / 255, np.eye(10)[my_labels], batch_size=64)
    sizes = set()
    for _ in range(8):
        images, labels = next(batches)
        sizes.add(len(images))
        assert images.dtype == np.float64 and 0 <= images.min() and images.max() <= 1 and labels.shape[1] == 10
    assert sizes == {64, 400 % 64}


def test_what_that_release_downloads_is_named():
    from deepaug.compat import DeepAugment

    with pytest.raises(FileNotFoundError, match="not downloaded"):
        DeepAugment("cifar10")
    with pytest.warns(UserWarning, match="built in"):
        assert DeepAugment("fashion_mnist", config=TINY).iterated == 0
    images = np.zeros((4, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="labels are needed"):
        DeepAugment(images)
    with pytest.raises(deepaug.ConfigError, match="objective"):
        DeepAugment(images, [0, 1, 0, 1], {"model": object()})
    with pytest.raises(deepaug.ConfigError, match="classifiers"):
        DeepAugment(images, [0, 1, 0, 1], {"model": "basicregression"})
    with pytest.raises(deepaug.ConfigError, match="did you mean"):
        DeepAugment(images, [0, 1, 0, 1], {"opt_sampls": 3})
