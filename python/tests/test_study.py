"""Searches that train their own children."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import deepaug
from deepaug import Config, Policy, Study


def test_a_finished_study_can_be_read(finished):
    assert finished.verdict.startswith("Use ") and finished.verdict in str(finished)
    assert len(finished.trials) == 4 and finished.baseline.number == 0
    assert finished.trials[-1].state == "complete" and len(finished.trials[1:3]) == 2
    best = finished.best_trial
    assert best.gain.is_fresh and best.gain.seeds == 3 and best.gain.low <= best.gain.mean <= best.gain.high
    assert finished.best_reward == best.reward and finished.top_policies(1)[0].number == best.number
    assert isinstance(finished.best_policy, Policy)
    assert Policy.from_file(finished.path) == finished.best_policy
    assert finished.config["model"] == "tinycnn"
    assert len(best.curves[0]) == 2
    table = finished.trials.to_dict()
    assert table["number"] == [0, 1, 2, 3] and Policy.from_json(table["policy"][2]) == finished.trials[2].policy
    assert "<table" in finished._repr_html_() and "<table" in finished.trials._repr_html_()
    assert "INFO" in (finished.path / "deepaug.log").read_text()
    top = Policy.from_file(finished.path / "top_policies.csv")
    assert top == finished.top_policies(1)[0].policy
    page = finished.report()
    assert page.read_text().startswith("<!")


def test_tables(finished):
    pandas = pytest.importorskip("pandas")
    frame = finished.trials.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and list(frame["number"]) == [0, 1, 2, 3]
    pyarrow = pytest.importorskip("pyarrow")
    assert pyarrow.table(finished.trials).num_rows == 4


def test_plots(finished):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    for plot in (finished.plot_history, finished.plot_ops, finished.plot_importance, finished.plot_learning_curves):
        axes = plot()
        axes.figure.canvas.draw()
        assert axes.get_title()
    axes = finished.plot_learning_curves([0, 2])
    assert len(axes.get_lines()) == 2


def test_the_command_reads_what_python_made_and_goes_on(finished, clothes, small, tmp_path):
    mine = tmp_path / "mine"
    deepaug.optimize(clothes, small, iterations=2, study=mine)
    run = [sys.executable, "-m", "deepaug"]
    done = subprocess.run([*run, "optimize", "--resume", str(mine), "--iters", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (mine / "notebook.csv").read_text() == _timeless(mine, finished.path)
    shown = json.loads(subprocess.run([*run, "inspect", str(mine), "--json"], capture_output=True, text=True).stdout)
    assert shown["trainings"] >= 7
    wrong = subprocess.run([*run, "inspect", str(tmp_path / "none")], capture_output=True, text=True)
    assert wrong.returncode == 6 or wrong.returncode == 7


def _timeless(mine, other):
    """Returns a notebook with the times of another."""
    rows, times = ((path / "notebook.csv").read_text().splitlines() for path in (other, mine))
    column = rows[0].split(",").index("seconds")
    assert len(rows) == len(times)
    import csv
    import io

    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    for row, own in zip(csv.reader(rows), csv.reader(times)):
        row[column] = own[column]
        write.writerow(row)
    return out.getvalue()


def test_a_study_of_the_command_goes_on_in_python(tmp_path, small):
    theirs, config = tmp_path / "theirs", tmp_path / "own.toml"
    config.write_text(small.replace(data="fashion-mnist-sample").to_toml())
    arguments = ["optimize", "--config", str(config), "--iters", "1", "--out", str(theirs)]
    subprocess.run([sys.executable, "-m", "deepaug", *arguments], check=True, capture_output=True)
    study = Study.load(theirs).optimize(iterations=2)
    assert len(study.trials) == 3
    again = deepaug.optimize(study=theirs, resume=True, iterations=3)
    assert len(again.trials) == 4 and again.verdict


def test_same_seed_same_notebook(finished, clothes, small, tmp_path):
    other = deepaug.optimize(clothes, small, study=tmp_path / "other")
    assert (other.path / "notebook.csv").read_text() == _timeless(other.path, finished.path)
    different = deepaug.optimize(clothes, small, seed=5, study=tmp_path / "different")
    assert different.trials[1].policy != finished.trials[1].policy


def test_events_reach_callbacks_on_the_calling_thread(clothes, small, tmp_path, capsys):
    events = []

    def follow(study, event):
        assert threading.current_thread() is threading.main_thread()
        events.append(event)
        if event.kind == "trial" and event.trial == 2:
            assert len(study.trials) >= 2

    deepaug.optimize(clothes, small, study=tmp_path / "study", callbacks=[follow], progress="log")
    kinds = [event.kind for event in events]
    assert kinds[0] == "started" and kinds[-1] == "finished" and kinds.count("trial") == 4
    assert "confirming" in kinds
    told = [event for event in events if event.kind == "trial"]
    assert [event.trial for event in told] == [0, 1, 2, 3] and all(0 <= event.reward <= 1 for event in told)
    assert isinstance(told[1].policy, Policy)
    assert "trial 3: reward" in capsys.readouterr().err


def test_an_exception_in_a_callback_ends_the_search_and_nothing_is_lost(finished, clothes, small, tmp_path):
    def fail(study, event):
        if event.kind == "trial" and event.trial == 1:
            raise LookupError("my own")

    with pytest.raises(LookupError, match="my own") as error:
        deepaug.optimize(clothes, small, study=tmp_path / "study", callbacks=[fail])
    assert any(frame.name == "fail" for frame in error.traceback)
    study = Study.load(tmp_path / "study")
    assert 2 <= len(study.trials) <= 4
    study.optimize()
    assert (study.path / "notebook.csv").read_text() == _timeless(study.path, finished.path)


def test_stop_returns_what_there_is(clothes, small, tmp_path):
    def stop(study, event):
        if event.kind == "trial" and event.trial == 1:
            study.stop()

    study = deepaug.optimize(clothes, small, iterations=50, study=tmp_path / "study", callbacks=[stop])
    assert 2 <= len(study.trials) < 20


CTRL_C = """
import os, signal, sys, threading, time
import deepaug
sys.path.insert(0, {tests!r})
import conftest
config = deepaug.Config("default", **{{**conftest.SMALL, "iters": 1000, "child_epochs": 20}})
threading.Timer({after}, lambda: (globals().update(at=time.time()), os.kill(os.getpid(), signal.SIGINT))).start()
try:
    deepaug.optimize("fashion-mnist-sample", config, study={study!r})
except KeyboardInterrupt as interrupt:
    print(time.time() - at, interrupt)
    study = deepaug.Study.load({study!r})
    print(len(study.trials))
"""


def test_ctrl_c_ends_within_a_second_and_loses_nothing(tmp_path):
    path = str(tmp_path / "study")
    code = CTRL_C.format(tests=os.path.dirname(__file__), study=path, after=2.0)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    first, trials = run.stdout.splitlines()
    took, words = first.split(" ", 1)
    assert float(took) < 1.0, run.stdout
    assert "everything finished is kept" in words and path in words
    assert int(trials) >= 1


def test_wrong_folders_and_wrong_arguments(finished, clothes, small, tmp_path):
    with pytest.raises(deepaug.StudyError, match="Study.load"):
        deepaug.optimize(clothes, small, study=finished.path)
    with pytest.raises(deepaug.StudyError, match="not a study"):
        Study.load(tmp_path)
    for keys in ({"config": small}, {"seed": 3}, {"reward": "loss"}):
        with pytest.raises(TypeError, match="goes on as it was made"):
            deepaug.optimize(study=finished.path, resume=True, **keys)
    with pytest.raises(TypeError, match="leave the path out"):
        deepaug.optimize("somewhere", study=finished.path, resume=True)
    with pytest.raises(ValueError, match="trainings must be at least 1"):
        deepaug.optimize(clothes, small, trainings=0, study=tmp_path / "never")
    with pytest.raises(TypeError, match="resume=True needs study="):
        deepaug.optimize(clothes, resume=True)
    with pytest.raises(ValueError, match="progress must be"):
        deepaug.optimize(clothes, small, study=tmp_path / "never", progress="loud")
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="time must be seconds above 0"):
            deepaug.optimize(clothes, small, time=wrong, study=tmp_path / "never")
    with pytest.raises(ValueError, match='"accuracy" without an objective'):
        deepaug.optimize(clothes, small, reward="loss")
    with pytest.raises(deepaug.DataError):
        deepaug.optimize(clothes, small.replace(train_set_size=2), study=tmp_path / "small")
    assert not (tmp_path / "small").exists(), "nothing is left behind"
    assert not (tmp_path / "never").exists()
    with pytest.raises(deepaug.ConfigError, match="did you mean"):
        deepaug.optimize(clothes, {"itres": 3})
    other = (np.roll(clothes[0], 1, axis=0), clothes[1])
    with pytest.raises(deepaug.StudyError, match="data set has changed"):
        deepaug.optimize(other, study=finished.path, resume=True)
    with pytest.raises(TypeError, match="use deepaug.optimize"):
        Study()


def test_final_models(finished, tmp_path):
    comparison = finished.compare(
        model="tinycnn", epochs=1, seeds=2, baselines=["none", "trivialaugment"], device="cpu", test_size=50
    )
    names = [scheme.name for scheme in comparison.schemes]
    assert names[:2] == ["none", "trivialaugment"] and comparison.verdict and comparison.path.is_file()
    assert comparison.schemes[1].gain.seeds == 2 and "<table" in comparison._repr_html_()
    trained = finished.train(model="tinycnn", epochs=1, out=tmp_path / "net.safetensors", device="cpu", scheme="none")
    assert trained.weights.is_file() and trained.model.is_file() and 0 <= trained.accuracy <= 1
    own = finished.train(model="tinycnn", epochs=1, out=tmp_path / "own.safetensors", device="cpu", policy=Policy.none())
    assert own.weights.is_file()
    with pytest.raises(TypeError, match="either a scheme or a policy"):
        finished.train(out=tmp_path / "x", scheme="none", policy=Policy.none())
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        finished.compare(seeds=0)
    with pytest.raises(TypeError, match="baselines must be a list"):
        finished.compare(baselines="none")
    with pytest.raises(TypeError, match="unknown option 'epoch'"):
        finished.train(out=tmp_path / "x", epoch=1)
    with pytest.raises(deepaug.ConfigError, match="model"):
        finished.compare(model="resnet")
    with pytest.raises(deepaug.ConfigError, match="baselines"):
        finished.compare(model="tinycnn", baselines=["bogus"])


def test_epochs_leave_python_time(tmp_path):
    """Events of epochs are told ten times a second at most."""
    config = Config("default", model="tinycnn", device="cpu", iters=1, opt_samples=1, workers=1, confirm_policies=0)
    config = config.replace(train_set_size=20, validation_set_size=10, child_epochs=150, child_batch_size=20)
    epochs, began = [], time.monotonic()
    deepaug.optimize(
        "fashion-mnist-sample",
        config,
        study=tmp_path / "study",
        callbacks=[lambda study, event: epochs.append(event) if event.kind == "epoch" else None],
    )
    took = time.monotonic() - began
    assert 1 <= len(epochs) <= 10 * took + 5, (len(epochs), took)


def test_the_study_keeps_its_images_beside_it(finished):
    assert (finished.path / "images.npz").is_file()
    assert finished.config["data"] == str((finished.path / "images.npz").resolve())
