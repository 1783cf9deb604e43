"""Searches that a function judges, and asking and telling."""

import logging
import os
import subprocess
import sys
import threading
import time

import pytest

import deepaug
from deepaug import Config, Policy, Study

CONFIG = {"iters": 12, "opt_samples": 1, "confirm_policies": 2, "confirm_samples": 4, "child_epochs": 9}


def merit(policy, seed=0):
    """Better the nearer magnitudes are to 0.3."""
    steps = [abs(step.magnitude - 0.3) for sub in policy.sub_policies for step in sub]
    return 0.9 - 0.5 * (sum(steps) / len(steps) if steps else 0.4) + (seed % 1000) / 1e5


def test_an_objective_is_called_from_worker_threads_and_its_answer_is_confirmed(tmp_path):
    threads, seeds = set(), set()

    def objective(policy, trial):
        threads.add(threading.current_thread())
        seeds.add((trial.sample, trial.seed))
        assert trial.policy == policy and os.path.isdir(trial.folder) and trial.epochs == 9
        open(os.path.join(trial.folder, "mine"), "w").close()
        return merit(policy, trial.seed)

    study = deepaug.optimize(objective=objective, config=CONFIG, workers=4, study=tmp_path / "study")
    assert threading.main_thread() not in threads and len(threads) > 1
    assert len(study.trials) == 13 and study.best_trial.gain.is_fresh and study.best_trial.gain.seeds >= 3
    assert study.verdict.startswith("Use the policy of trial")
    assert len(seeds) == len({sample for sample, _ in seeds}) > 1, "equal samples have equal seeds"
    assert study.best_policy == study.best_trial.policy

    # Whichever of the four ends first, the search is the same.
    def slow(policy, trial):
        time.sleep(0.001 * (trial.number % 5))
        return merit(policy, trial.seed)

    again = deepaug.optimize(objective=slow, config=CONFIG, workers=4, study=tmp_path / "again")
    assert [trial.policy for trial in again.trials] == [trial.policy for trial in study.trials]
    assert (again.path / "notebook.csv").read_bytes() == (study.path / "notebook.csv").read_bytes()

    more = study.optimize(objective=objective, iterations=14)
    assert len(more.trials) == 15
    with pytest.raises(deepaug.StudyError, match="judged by an objective"):
        study.optimize()


@pytest.mark.parametrize("kind", ["accuracy", "score", "loss"])
def test_reports_prune_and_rewards_are_as_told(tmp_path, kind):
    ended, sign = [], -1 if kind == "loss" else 1

    def objective(policy, trial):
        value = merit(policy, trial.seed)
        for epoch in range(1, 10):
            try:
                trial.report(epoch, sign * value * (1 - 0.5 / epoch))
            except deepaug.Pruned:
                ended.append((trial.number, epoch))
                raise
        return sign * value * (1 - 0.5 / 9)

    events = []
    config = {**CONFIG, "early_stopping": "halving", "opt_last_n_epochs": 1, "opt_samples": 2}
    study = deepaug.optimize(
        objective=objective,
        config=config,
        reward=kind,
        workers=2,
        study=tmp_path / "study",
        callbacks=[lambda study, event: events.append(event)],
    )
    pruned = [trial for trial in study.trials if trial.state == "pruned"]
    assert ended and {number for number, _ in ended} == {trial.number for trial in pruned}
    assert {event.trial for event in events if event.kind == "pruned"} == {trial.number for trial in pruned}
    for number, epoch in ended:
        assert len(study.trials[number].curves[0]) == epoch, "a pruned trial ends with the epoch that decided"
    assert (study.baseline.reward < 0) == (kind == "loss")
    gain = study.best_trial.gain
    assert gain.mean > 0, "of gains more is better, whatever the reward"
    assert str(gain).startswith("-" if kind == "loss" else "+") and "fresh seeds" in str(gain)
    best = max if kind != "loss" else min
    complete = [trial.reward for trial in study.trials if trial.state == "complete"]
    assert study.best_reward in complete and study.verdict.startswith("Use the policy")
    shown = [event.reward for event in events if event.kind == "trial"]
    assert best(shown) == pytest.approx(best(complete))


def test_exceptions_of_the_objective(tmp_path, caplog):
    def objective(policy, trial):
        if trial.number == 2:
            raise MemoryError("too many images")
        if trial.number == 3:
            return float("nan")
        if trial.number == 4:
            return "good"
        return merit(policy)

    config = {**CONFIG, "iters": 5, "confirm_policies": 0}
    with caplog.at_level(logging.WARNING, "deepaug"):
        study = deepaug.optimize(objective=objective, config=config, study=tmp_path / "study")
    failed = {trial.number: trial.failed[0] for trial in study.trials if trial.state == "failed"}
    assert set(failed) == {2, 3, 4}
    assert "MemoryError: too many images" in failed[2] and "finite" in failed[3] and "must return a number" in failed[4]
    assert any("in objective" in (record.exc_text or str(record.exc_info)) or record.exc_info for record in caplog.records)
    with pytest.raises(MemoryError, match="too many images") as error:
        deepaug.optimize(objective=objective, config=config, study=tmp_path / "raises", on_error="raise")
    assert any(frame.name == "objective" for frame in error.traceback), "the traceback is the objective's own"
    assert len(Study.load(tmp_path / "raises").trials) >= 2
    with pytest.raises(deepaug.TrainError, match="without a policy failed"):
        deepaug.optimize(objective=lambda policy, trial: 1 / 0, config=config, study=tmp_path / "never")


def test_wrong_objectives_are_refused_before_anything_is_made(tmp_path):
    for wrong in (lambda policy: 0.5, lambda: 0.5, lambda policy, trial, third: 0.5):
        with pytest.raises(TypeError, match=r"called as objective\(policy, trial\)"):
            deepaug.optimize(objective=wrong, study=tmp_path / "study")
    with pytest.raises(TypeError, match="leave data out"):
        deepaug.optimize("fashion-mnist-sample", objective=lambda policy, trial: 0.5)
    with pytest.raises(deepaug.ConfigError, match='"pba"'):
        deepaug.optimize(objective=lambda policy, trial: 0.5, config=Config("default", method="pba", augment="online"))
    assert not (tmp_path / "study").exists()


def test_reports_out_of_order(tmp_path):
    def objective(policy, trial):
        with pytest.raises(ValueError, match="after 0 comes 1, not 2"):
            trial.report(2, 0.5)
        with pytest.raises(ValueError, match="finite"):
            trial.report(1, float("inf"))
        with pytest.raises(ValueError, match="between 0 and 1, not 87.5"):
            trial.report(1, 87.5)
        trial.report(1, 0.5)
        return 0.5

    config = {**CONFIG, "iters": 1, "confirm_policies": 0}
    study = deepaug.optimize(objective=objective, config=config, study=tmp_path / "study", on_error="raise")
    assert len(study.trials) == 2


LEAVES = """
import glob, os, signal, tempfile, threading, time
import deepaug
def objective(policy, trial):
    time.sleep(1.0)
    return 0.5
before = set(glob.glob(tempfile.gettempdir() + "/deepaug-trial-*"))
threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
deepaug.optimize(objective=objective, config={config!r}, workers=3, study={study!r})
"""


def test_an_interpreter_ends_after_its_objectives(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    code = LEAVES.format(config=CONFIG, study=str(tmp_path / "study"))
    environment = {**os.environ, "TMPDIR": str(folder)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, env=environment)
    assert "everything finished is kept" in run.stderr and "Fatal" not in run.stderr, run.stderr
    assert run.returncode in (1, 130, -2) and list(folder.glob("deepaug-trial-*")) == []


def test_a_budget_for_the_baseline_alone_is_said(tmp_path):
    with pytest.raises(deepaug.StudyError, match="no policy was tried"):
        config = {**CONFIG, "confirm_policies": 0}
        deepaug.optimize(objective=lambda policy, trial: 0.5, config=config, trainings=1, study=tmp_path / "study")


INTERRUPTED = """
import os, signal, threading, time
import deepaug
def objective(policy, trial):
    time.sleep(0.3 if trial.number < 2 else 30)
    return 0.5 + 0.01 * trial.number
def interrupt():
    global at
    at = time.time()
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(1.5, interrupt).start()
try:
    deepaug.optimize(objective=objective, config={config!r}, workers=3, study={study!r})
except KeyboardInterrupt:
    print(time.time() - at)
    print(sum(trial.state == "complete" for trial in deepaug.Study.load({study!r}).trials), flush=True)
    os._exit(0)
"""


def test_ctrl_c_does_not_wait_for_an_objective(tmp_path):
    code = INTERRUPTED.format(config=CONFIG, study=str(tmp_path / "study"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    took, trials = run.stdout.split()
    assert float(took) < 1.0 and int(trials) == 2, (run.stdout, run.stderr)
    study = Study.load(tmp_path / "study").optimize(objective=lambda policy, trial: 0.5 + 0.01 * trial.number)
    assert len(study.trials) == 13


def test_asking_and_telling(tmp_path):
    with Study.create({"iters": 20, "opt_samples": 2}, tmp_path / "study", reward="score") as study:
        first = study.ask()
        assert first.number == 0 and first.policy == Policy.none().with_application(first.policy.application)
        study.tell(first, 10.0, sample=0)
        study.tell(first, 10.0, sample=1)
        others = [study.ask() for _ in range(3)]
        assert [trial.number for trial in study.pending()] == [1, 2, 3]
        study.tell(others[0], 11.5)
        study.tell(others[1].number, 12.0, sample=0)
        study.tell(others[1].number, 13.0, sample=1)
        study.tell(others[2], failed="out of memory")
        study.tell(others[2], failed="out of memory")
        with pytest.raises(deepaug.StudyError, match="something else"):
            study.tell(others[2], 5.0)
        with pytest.raises(deepaug.StudyError, match="not been asked for"):
            study.tell(77, 1.0)
        with pytest.raises(ValueError, match="either a reward or failed="):
            study.tell(others[0])
        with pytest.raises(RuntimeError, match="only trials of an objective can report"):
            others[0].report(1, 0.5)
    assert [trial.state for trial in study.trials] == ["complete", "complete", "complete", "failed"]
    assert study.best_reward == 12.5 and study.trials[2].gain.mean == pytest.approx(2.5)
    shown = subprocess.run(
        [sys.executable, "-m", "deepaug", "tell", "--study", str(study.path), "--trial", "3", "--failed", "out of memory"],
        capture_output=True,
    )
    assert shown.returncode == 0, shown.stderr
    with Study.load(study.path) as again:
        assert again.ask().number == 4


def test_several_threads_ask(tmp_path):
    study = Study.create({"iters": 100}, tmp_path / "study")
    study.tell(study.ask(), 0.5)

    def work():
        for _ in range(5):
            trial = study.ask()
            study.tell(trial, merit(trial.policy))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    study.close()
    assert len(study.trials) == 21 and all(trial.state == "complete" for trial in study.trials)
    assert study.verdict
