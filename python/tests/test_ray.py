"""Executors written in Python, and the one for Ray."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deepaug import _native

import deepaug


class Here:
    """Carries out one job at a time, in this process."""

    def __init__(self):
        self.runner = _native.JobRunner()
        self.jobs = []
        self.seen = []

    def capacity(self):
        return 1

    def submit(self, job):
        self.jobs.append(job)

    def next(self, timeout):
        if not self.jobs:
            return None
        job = self.jobs.pop(0)
        result = json.loads(self.runner.run(job))
        self.seen.append((result["trial"], result["sample"]))
        number = {"trial": result["trial"], "sample": result["sample"]}
        report = {"report": "ended", "id": number, "device": result["device"], "history": result.get("history")}
        return json.dumps({**report, "failed": result.get("failed")})

    def stop(self, jobs):
        pass

    def cancel(self, jobs):
        pass


def test_an_executor_of_ones_own_gives_the_same_study(small, tmp_path):
    config = small.replace(data="fashion-mnist-sample")
    here = deepaug.optimize(config=config, study=tmp_path / "here", progress=False)
    executor = Here()
    apart = deepaug.optimize(config=config, study=tmp_path / "apart", executor=executor, progress=False)
    assert apart.verdict == here.verdict
    assert [trial.reward for trial in apart.trials] == [trial.reward for trial in here.trials]
    assert len(executor.seen) == len(set(executor.seen)) >= 4


def test_what_an_executor_raises_is_raised(small, tmp_path):
    class Broken(Here):
        def next(self, timeout):
            raise RuntimeError("the queue is gone")

    with pytest.raises(RuntimeError, match="the queue is gone"):
        deepaug.optimize(
            config=small.replace(data="fashion-mnist-sample"),
            study=tmp_path / "study",
            executor=Broken(),
            progress=False,
        )
    # Nothing is lost: it goes on.
    deepaug.Study.load(tmp_path / "study").optimize(executor=Here(), progress=False)


def test_objectives_need_no_executor(tmp_path):
    with pytest.raises(TypeError, match="leave executor out"):
        deepaug.optimize(objective=lambda policy, trial: 0.5, executor=Here(), study=tmp_path / "study")


def test_ray_on_two_nodes(tmp_path):
    python = os.environ.get("DEEPAUG_PYTHON_RAY")
    if python is None:
        pytest.skip("Ray is not installed; tests/python.sh installs it and names it in DEEPAUG_PYTHON_RAY")
    loopback = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 0x41))"
    # In a network with loopback alone, all nodes take its address.
    alone = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a network of its own needs root and unshare")
    script = Path(__file__).with_name("ray_nodes.py")
    code = '"$1" -c "$2" && exec "$1" "$3" "$4"'
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if (Path(path) / "deepaug").is_dir())
    run = subprocess.run(
        [*alone, "sh", "-c", code, "sh", python, loopback, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "equal" in run.stdout
