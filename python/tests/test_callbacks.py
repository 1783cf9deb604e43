"""Trackers."""

import pytest

import deepaug
from deepaug import callbacks

CONFIG = {"iters": 4, "opt_samples": 1, "confirm_policies": 1, "confirm_samples": 2}


def search(tmp_path, callback):
    def objective(policy, trial):
        trial.report(1, 0.4)
        return 0.5 + 0.01 * trial.number

    return deepaug.optimize(objective=objective, config=CONFIG, study=tmp_path / "study", callbacks=[callback])


def test_tensorboard_reads_what_is_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    search(tmp_path, callbacks.TensorBoard(tmp_path / "events"))
    read = EventAccumulator(str(tmp_path / "events"))
    read.Reload()
    rewards = [(event.step, round(event.value, 4)) for event in read.Scalars("search/reward")]
    assert rewards == [(0, 0.5), (1, 0.51), (2, 0.52), (3, 0.53), (4, 0.54)]
    assert read.Scalars("training/trial 0 sample 0")[0].value == pytest.approx(0.4)


def test_mlflow_takes_a_search(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    study = search(tmp_path, callbacks.MLflow("mine"))
    [run] = mlflow.search_runs(output_format="list")
    assert run.data.metrics["reward"] == pytest.approx(0.54) and run.data.params["iters"] == "4"
    assert run.data.tags["deepaug.verdict"] == study.verdict


def test_wandb_takes_a_search_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    search(tmp_path, callbacks.WandB(mode="offline", project="deepaug"))
    assert list((tmp_path / "wandb").glob("offline-run-*"))


@pytest.mark.parametrize("name", ["TensorBoard", "MLflow", "WandB"])
def test_a_library_that_is_missing_is_named(name, monkeypatch):
    import sys

    for module in ("tensorboard", "tensorboard.compat.proto", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError):
        getattr(callbacks, name)(*(["folder"] if name == "TensorBoard" else []))
