"""Searches on a Ray cluster.

    import deepaug
    from deepaug.ray import RayExecutor

    study = deepaug.optimize("/shared/my-images", "my.toml", executor=RayExecutor(actors=16))

Every node must have the package, and see the images and the study's folder where this process does. What Ray cannot know is
kept here: which training is done again when its actor dies, and which is not.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Sequence
from typing import Any, Optional

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError, WorkerCrashedError

from . import _native

__all__ = ["RayExecutor"]

DEADLY = 3
"""A training whose actor has died so often, while it ran, is taken to be what kills it."""

Id = tuple[int, int]


class _Trainer:
    """What an actor does."""

    def __init__(self) -> None:
        self._runner = _native.JobRunner()

    def run(self, job: str) -> str:
        return self._runner.run(job)


class _Job:
    def __init__(self, text: str) -> None:
        self.text = text
        number = json.loads(text)["id"]
        self.id: Id = (number["trial"], number["sample"])
        self.losses = 0


class RayExecutor:
    """Trains on Ray: each of `actors` trains one child at a time, with `num_cpus` and `num_gpus` of a node. Without `actors`,
    there are as many as the cluster has CPUs, or GPUs, for.

    Ray must have been initialised, or is, as `ray.init()` does. An actor that dies, or whose node does, is started again, and
    its training is repeated: seed and result are the same. Trials are told as the study's configuration says: set
    `in_order=False` so that no actor waits for the slowest.
    """

    def __init__(self, actors: Optional[int] = None, *, num_cpus: float = 1, num_gpus: float = 0) -> None:
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        if actors is None:
            there = ray.cluster_resources()
            room = [there.get(kind, 0) / wanted for kind, wanted in (("CPU", num_cpus), ("GPU", num_gpus)) if wanted > 0]
            actors = int(min(room, default=1))
        if actors < 1:
            raise ValueError("the cluster has no room for an actor; lower num_cpus or num_gpus")
        options: dict[str, Any] = {"num_cpus": num_cpus, "num_gpus": num_gpus, "scheduling_strategy": "SPREAD"}
        # Ray would repeat a training unseen; the search is to know.
        kind = ray.remote(**options, max_restarts=-1, max_task_retries=0)(_Trainer)
        self._actors = [kind.remote() for _ in range(actors)]
        self._idle = list(self._actors)
        self._waiting: list[tuple[Id, int, _Job]] = []
        self._running: dict[Any, tuple[Any, _Job]] = {}
        self._cancelled: set[Id] = set()
        self._ready: list[dict[str, Any]] = []
        self._count = 0

    @property
    def actors(self) -> Sequence[Any]:
        """The handles of the actors."""
        return tuple(self._actors)

    def capacity(self) -> int:
        """Returns how many trainings can run at once."""
        return len(self._actors)

    def submit(self, job: str) -> None:
        """Takes a job as JSON. Among waiting jobs, those with the lowest ids start first."""
        taken = _Job(job)
        self._cancelled.discard(taken.id)
        self._wait(taken)

    def _wait(self, job: _Job) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (job.id, self._count, job))

    def next(self, timeout: float) -> Optional[str]:
        """Returns the next report as JSON, or None if there is none within `timeout` seconds."""
        while self._waiting and self._idle:
            _, _, job = heapq.heappop(self._waiting)
            actor = self._idle.pop(0)
            self._running[actor.run.remote(job.text)] = (actor, job)
        if not self._ready:
            if self._running:
                done, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout)
                for reference in done:
                    self._end(reference)
            else:
                time.sleep(timeout)
        return json.dumps(self._ready.pop(0)) if self._ready else None

    def _end(self, reference: Any) -> None:
        actor, job = self._running.pop(reference)
        self._idle.append(actor)
        number = {"trial": job.id[0], "sample": job.id[1]}
        try:
            result = json.loads(ray.get(reference))
        except (RayActorError, WorkerCrashedError, OutOfMemoryError) as error:
            if job.id in self._cancelled:
                self._cancelled.discard(job.id)
                self._ready.append({"report": "cancelled", "id": number})
                return
            job.losses += 1
            why = str(error).strip().splitlines()[0]
            if job.losses < DEADLY:
                self._ready.append({"report": "repeated", "id": number, "why": why})
                self._wait(job)
            else:
                failed = f"its actor died {DEADLY} times while it ran, the last time because {why}"
                self._ready.append({"report": "ended", "id": number, "device": "", "failed": failed})
        except RayTaskError as error:
            # No training can succeed there: its own failure would be a result.
            self._ready.append({"report": "broken", "why": str(error.cause)})
        else:
            self._cancelled.discard(job.id)
            keys = ("device", "history", "failed")
            self._ready.append({"report": "ended", "id": number, **{key: result.get(key) for key in keys}})

    def stop(self, jobs: Sequence[Id]) -> None:
        """Trainings that need no more epochs run to their end: what they do until then is not counted."""

    def cancel(self, jobs: Sequence[Id]) -> None:
        """Ends jobs: those that wait at once, others with the process of their actor."""
        wanted = {(trial, sample) for trial, sample in jobs}
        for identifier, _, _ in [entry for entry in self._waiting if entry[0] in wanted]:
            self._ready.append({"report": "cancelled", "id": {"trial": identifier[0], "sample": identifier[1]}})
        self._waiting = [entry for entry in self._waiting if entry[0] not in wanted]
        heapq.heapify(self._waiting)
        for actor, job in self._running.values():
            if job.id in wanted:
                self._cancelled.add(job.id)
                ray.kill(actor, no_restart=False)

    def close(self) -> None:
        """Ends the actors."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []
