"""Studies: searches, what they found, and what is done with it."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union

from . import _data, _html, _native, _results
from ._config import Config
from ._errors import StudyError
from ._native import Policy, Trial
from ._progress import Progress, Shown, attended, check
from ._results import Comparison, Event, FrozenTrial, Trained, Trials

if TYPE_CHECKING:
    from typing_extensions import Self

Objective = Callable[[Policy, Trial], float]
"""Trains with a policy in its own way, and returns a reward."""

PathLike = Union[str, "os.PathLike[str]"]
logger = logging.getLogger("deepaug")
atexit.register(_native.wait_for_objectives)


class Callback(Protocol):
    """Called with every event, on the thread that called `optimize`. An exception ends the search and is raised."""

    def __call__(self, study: Study, event: Event, /) -> None: ...


class Executor(Protocol):
    """Carries out trainings elsewhere, as `deepaug.ray.RayExecutor` does. A job is JSON, and its "id" is an object of
    "trial" and "sample"; `deepaug trial --spec` trains it. A job is open until it is reported as ended or cancelled."""

    def capacity(self) -> int:
        """Returns how many trainings can run at once."""
        ...

    def submit(self, job: str) -> None:
        """Takes a job; returns at once. Those with the lowest ids start first."""
        ...

    def next(self, timeout: float) -> Optional[str]:
        """Returns the next report as JSON, or None if there is none within `timeout` seconds: {"report": "ended", "id",
        "device", "history" or "failed"}, {"report": "epoch", "id", "record"}, {"report": "repeated", "id", "why"},
        {"report": "cancelled", "id"}, or {"report": "broken", "why"} if no job can succeed."""
        ...

    def stop(self, jobs: Sequence[tuple[int, int]]) -> None:
        """Ends jobs that need no more epochs, given by trial and sample: each is reported as ended."""
        ...

    def cancel(self, jobs: Sequence[tuple[int, int]]) -> None:
        """Ends jobs as soon as possible: each is reported as cancelled, or as ended if it was faster."""
        ...


def optimize(
    data: Any = None,
    config: Union[Config, Mapping[str, Any], PathLike, None] = None,
    *,
    labels: Any = None,
    iterations: Optional[int] = None,
    objective: Optional[Objective] = None,
    executor: Optional[Executor] = None,
    reward: Optional[str] = None,
    workers: Optional[int] = None,
    seed: Optional[int] = None,
    time: Optional[float] = None,
    trainings: Optional[int] = None,
    study: Optional[PathLike] = None,
    resume: bool = False,
    callbacks: Iterable[Callback] = (),
    progress: Shown = None,
    on_error: str = "fail",
) -> Study:
    """Searches for the augmentation that is right for images, and returns the finished study.

    `data` is what `Dataset.read` takes; without any, built-in images are used. `config` is a `Config`, a mapping of
    its keys, or a file; by default sizes are chosen from the data, for about ten minutes on two cores, or for `time`
    seconds.

    With `objective`, no images are needed: it is called as `objective(policy, trial)`, from `workers` threads, must
    train and measure in its own way, and returns a reward, of the kind that `reward` names: "accuracy", "score", or
    "loss", of which less is better. `trial.report(epoch, value)` lets trials that fall behind end early, if the
    configuration's `early_stopping` says so. The best policies are confirmed with fresh seeds: `trial.seed`. An
    exception counts as a failed training, or ends the search, if `on_error` is "raise".

    `executor` has children trained elsewhere, such as `deepaug.ray.RayExecutor`; images must then be files that all
    machines see, as the study's folder must be.

    `study` is the folder, new or empty, which the command reads as well; with `resume`, one that was stopped goes on.
    Ctrl-C raises KeyboardInterrupt once epochs under way have ended; all that finished is kept. An objective cannot be
    ended: it is left to run, its result is dropped, and Python waits for it before it exits. Its next `report` raises
    `Pruned`.
    """
    if on_error not in ("fail", "raise"):
        raise ValueError(f'on_error must be "fail" or "raise", not {on_error!r}')
    if objective is not None:
        _check(objective)
    if objective is not None and executor is not None:
        raise TypeError("an objective trains by itself; leave executor out")
    _check_budget(time, trainings)
    check(progress)
    if resume:
        if study is None:
            raise TypeError("resume=True needs study=, the folder to go on with")
        found = Study.load(study)
        for name, given in (("config", config), ("seed", seed), ("reward", reward), ("workers", workers)):
            if given is not None:
                raise TypeError(f"a study goes on as it was made; leave {name} out")
        if _data.is_path(data):
            raise TypeError("a study reads its own images again; leave the path out")
        if data is not None:
            data = _data.read_as(found.config, data, labels)
        keys: dict[str, Any] = {"time": time, "trainings": trainings, "on_error": on_error, "progress": progress}
        return found.optimize(
            data, iterations=iterations, objective=objective, executor=executor, callbacks=callbacks, **keys
        )
    if objective is None and reward not in (None, "accuracy"):
        raise ValueError('reward must be "accuracy" without an objective')
    if objective is not None and data is not None:
        raise TypeError("an objective has its own images; leave data out")
    made = _config(config, "quickstart" if objective is None else "default")
    values = {"iters": iterations, "workers": workers, "seed": seed, "reward": reward}
    made = made.replace(**{key: value for key, value in values.items() if value is not None})
    if objective is not None:
        search: Optional[_native.Search] = _native.Search.judge(made.to_toml(), study)
    else:
        search = _trained(made, data, labels, study, time, iterations, executor is not None)
    if search is None:
        raise KeyboardInterrupt("stopped; nothing was written")
    return Study._of(Path(search.folder))._run(
        search, objective, executor, callbacks, progress, time=time, trainings=trainings, on_error=on_error
    )


def _trained(
    config: Config,
    data: Any,
    labels: Any,
    study: Optional[PathLike],
    time: Optional[float],
    iterations: Optional[int],
    elsewhere: bool,
) -> Optional[_native.Search]:
    """Makes a search that trains its own children."""
    if data is None or _data.is_path(data):
        if labels is not None:
            raise TypeError("labels need images; use a pair of arrays, or a table of paths and labels")
        config = config if data is None else config.replace(data=os.fspath(data))
        return _native.Search.train(config.to_toml(), study, None, time, iterations, elsewhere)
    dataset = _data.read_as(config, data, labels)
    # Read again, they are what they are now.
    channels = "grey" if dataset.images.shape[3] == 1 else "rgb"
    config = config.replace(data="images", data_format="auto", image_size=0, channels=channels)
    config = config.replace(image_column="", label_column="", group_column="", split_column="")
    folder, images = _native.new_folder("images", study)
    config = config.replace(data=images)
    try:
        _data.save(dataset, images)
        search = _native.Search.train(config.to_toml(), folder, dataset, time, iterations, elsewhere)
    except BaseException:
        _unmake(images)
        raise
    if search is None:
        _unmake(images)
    return search


def _unmake(images: PathLike) -> None:
    """Removes the images of a study that could not be made, and its folder if nothing else is in it."""
    for path in (Path(images), Path(f"{os.fspath(images)}.part.npz")):
        path.unlink(missing_ok=True)
    try:
        Path(images).parent.rmdir()
    except OSError:
        pass


def _check(objective: Objective) -> None:
    """Refuses an objective that cannot be called with a policy and a trial."""
    try:
        inspect.signature(objective).bind(None, None)
    except TypeError as error:
        raise TypeError(f"the objective is called as objective(policy, trial): {error}") from None
    except ValueError:
        # Nothing is known about some functions that are not written in Python.
        pass


def _check_budget(time: Optional[float], trainings: Optional[int]) -> None:
    """Refuses a budget that is none, before anything is made."""
    if time is not None and not 0 < float(time) < float("inf"):
        raise ValueError(f"time must be seconds above 0, not {time}")
    if trainings is not None and trainings < 1:
        raise ValueError(f"trainings must be at least 1, not {trainings}")


def _config(config: Union[Config, Mapping[str, Any], PathLike, None], base: str) -> Config:
    if isinstance(config, Config):
        return config
    if config is None:
        return Config(base)
    if isinstance(config, Mapping):
        return Config(base, **config)
    return Config(config)


def tell_of_failure(error: BaseException) -> None:
    """Writes the traceback of a failed objective into the log."""
    logger.warning("a training failed", exc_info=(type(error), error, error.__traceback__))


class Study:
    """A search in a folder, which the command reads as well. Several may read it; one at a time may write."""

    def __init__(self) -> None:
        raise TypeError("use deepaug.optimize, Study.create or Study.load")

    @classmethod
    def _of(cls, path: Path) -> Self:
        study = cls.__new__(cls)
        study._path = path.absolute()
        study._search = None
        study._asked = None
        return study

    _path: Path
    _search: Optional[_native.Search]
    _asked: Optional[_native.AskTell]

    @classmethod
    def create(
        cls,
        config: Union[Config, Mapping[str, Any], PathLike, None] = None,
        study: Optional[PathLike] = None,
        *,
        reward: Optional[str] = None,
    ) -> Self:
        """Makes a study whose trials are asked for and told. Without a folder, the next free one is taken under
        `reports/experiments`."""
        made = _config(config, "default")
        if reward is not None:
            made = made.replace(reward=reward)
        folder = Path(study) if study is not None else Path(_native.new_folder("asked", None)[0])
        _native.AskTell.create(made.to_toml(), folder)
        return cls._of(folder)

    @classmethod
    def load(cls, study: PathLike) -> Self:
        """Opens the study in a folder, to read it or to go on with it."""
        _native.study_config(study)
        return cls._of(Path(study))

    # Asking and telling.

    def _open(self) -> _native.AskTell:
        if self._asked is None:
            self._asked = _native.AskTell(self._path)
        return self._asked

    def ask(self) -> Trial:
        """Proposes a trial, which is pending until it is told. Trial 0 has no policy."""
        return self._open().ask(1)[0]

    def tell(
        self,
        trial: Union[Trial, int],
        reward: Optional[float] = None,
        *,
        failed: Optional[str] = None,
        sample: Optional[int] = None,
    ) -> None:
        """Takes the reward of a trial, or why it failed: as a whole, or of one of the configuration's `opt_samples`
        trainings, counted from 0. Telling the same again changes nothing."""
        number = trial.number if isinstance(trial, Trial) else trial
        self._open().tell(number, None if reward is None else float(reward), failed, sample)

    def pending(self) -> list[Trial]:
        """Returns the trials that have been asked for and not told."""
        return self._open().pending()

    def close(self) -> None:
        """Lets other processes ask and tell. The study can still be read, and opens again when it is asked."""
        if self._asked is not None:
            self._asked.result()
            self._asked.close()
            self._asked = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Searching.

    def optimize(
        self,
        data: Any = None,
        *,
        iterations: Optional[int] = None,
        objective: Optional[Objective] = None,
        executor: Optional[Executor] = None,
        time: Optional[float] = None,
        trainings: Optional[int] = None,
        callbacks: Iterable[Callback] = (),
        progress: Shown = None,
        on_error: str = "fail",
    ) -> Self:
        """Goes on with the search, to as many iterations in all as it was made for, or as are given. The result is that
        of a study that had never stopped. Images are read again unless they are given."""
        _check_budget(time, trainings)
        check(progress)
        self.close()
        if _native.is_judged(self._path):
            if executor is not None:
                raise StudyError("its trials are judged by an objective; leave executor out")
            if objective is None:
                raise StudyError("its trials are judged by an objective; give it, or use ask and tell")
            _check(objective)
            search: Optional[_native.Search] = _native.Search.resume_judging(self._path, iterations)
        else:
            if objective is not None:
                raise StudyError("this study trains its own children; leave objective out")
            dataset = None if data is None else _data.read_as(self.config, data)
            elsewhere = executor is not None
            search = _native.Search.resume_training(self._path, iterations, dataset, elsewhere)
        if search is None:
            return self
        keys: dict[str, Any] = {"time": time, "trainings": trainings, "on_error": on_error}
        return self._run(search, objective, executor, callbacks, progress, **keys)

    def _run(
        self,
        search: _native.Search,
        objective: Optional[Objective],
        executor: Optional[Executor],
        callbacks: Iterable[Callback],
        progress: Shown,
        *,
        time: Optional[float],
        trainings: Optional[int],
        on_error: str,
    ) -> Self:
        called = list(callbacks)

        def tell(values: Mapping[str, Any]) -> None:
            event = _results.event(values)
            for callback in called:
                callback(self, event)

        self._search = search
        words = f"everything finished is kept; Study.load({str(self._path)!r}).optimize() continues"
        try:
            with attended(Progress(progress), self._path / "deepaug.log", tell) as on_event, _in_words(words):
                search.run(on_event, objective, executor, on_error == "raise", time, trainings)
        finally:
            self._search = None
            for callback in called:
                close = getattr(callback, "close", None)
                if close is not None:
                    close()
        return self

    def stop(self) -> None:
        """Ends the search that is running, from a callback or another thread: what is nearly done is finished first."""
        if self._search is not None:
            self._search.stop()

    # What it found.

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._path

    @property
    def config(self) -> Config:
        """Its configuration."""
        return Config._of(*_native.study_config(self._path))

    def _result(self) -> Optional[dict[str, Any]]:
        found: Optional[dict[str, Any]] = json.loads(_native.result(self._path))
        return found

    def _found(self) -> dict[str, Any]:
        found = self._result()
        if found is None:
            raise StudyError(f"{self._path}: nothing has been found yet; at least trial 0 and another must have ended")
        return found

    @property
    def trials(self) -> Trials:
        """Its trials so far, by number."""
        return Trials(_results.frozen(record) for record in json.loads(_native.trials(self._path)))

    @property
    def best_policy(self) -> Policy:
        """The policy to use: none, if the best came out no better."""
        policy = _native.best_policy(self._path)
        if policy is None:
            self._found()
            raise StudyError(f"{self._path}: no policy")
        return policy

    @property
    def best_trial(self) -> FrozenTrial:
        """The best trial: the confirmed one with the highest reward over fresh seeds, if any has been confirmed."""
        number: int = self._found()["best"]["trial"]
        return self.trials[number]

    @property
    def best_reward(self) -> Optional[float]:
        """The reward of the best trial in the search; its `gain` says how reliable it is."""
        return self.best_trial.reward

    @property
    def baseline(self) -> FrozenTrial:
        """Trial 0, which has no policy."""
        trials = self.trials
        if not trials:
            raise StudyError(f"{self._path}: no trial has been asked for yet")
        return trials[0]

    @property
    def verdict(self) -> str:
        """What to use, in a sentence, with the gain that it rests on."""
        return str(self._found()["answer"])

    def top_policies(self, count: int = 20) -> list[FrozenTrial]:
        """Returns up to 20 of the best trials, confirmed ones first."""
        trials = {trial.number: trial for trial in self.trials}
        return [trials[candidate["trial"]] for candidate in self._found()["top"][:count]]

    def compare(
        self,
        *,
        model: str = "wrn_16_2",
        epochs: int = 200,
        seeds: int = 5,
        baselines: Optional[Sequence[str]] = None,
        beside: Iterable[PathLike] = (),
        name: Optional[str] = None,
        progress: Shown = None,
        **keys: Any,
    ) -> Comparison:
        """Trains a final model under the answer and under each baseline, with paired seeds, and measures it on test
        images that the search never saw. Stopped and called again, it goes on.

        Further keys are those of the command: config, train_size, test_size, device, chance, finish, pad, flip, cutout,
        top.
        """
        options = _options(model=model, epochs=epochs, **keys)
        for name_of, given in (("baselines", baselines), ("beside", beside)):
            if isinstance(given, (str, os.PathLike)):
                raise TypeError(f"{name_of} must be a list, not one of them")
        if seeds < 1:
            raise ValueError(f"seeds must be at least 1, not {seeds}")
        names = None if baselines is None else list(baselines)
        with attended(Progress(progress), None, None) as on_event:
            with _in_words("everything finished is kept, and the same call goes on"):
                found = _native.compare(self._path, options, seeds, names, list(beside), name, on_event)
        return _results.comparison(self._path, json.loads(found or "null"))

    def train(
        self,
        *,
        out: PathLike,
        model: str = "wrn_16_2",
        epochs: int = 200,
        scheme: Optional[str] = None,
        policy: Union[Policy, PathLike, None] = None,
        sample: int = 0,
        progress: Shown = None,
        **keys: Any,
    ) -> Trained:
        """Trains a final model with the answer, or with a baseline named by `scheme`, or with a policy or a file of policies, and writes
        its weights to `out`, with a module of PyTorch, a record and a model card beside it.

        Further keys are those of `compare`.
        """
        options = _options(model=model, epochs=epochs, **keys)
        if scheme is not None and policy is not None:
            raise TypeError("give either a scheme or a policy")
        with tempfile.TemporaryDirectory() as folder, attended(Progress(progress), None, None) as on_event:
            if isinstance(policy, Policy):
                given, policy = policy, Path(folder) / "policy.json"
                given.save(policy)
            with _in_words("stopped; nothing was written"):
                found = _native.train(self._path, options, scheme, policy, sample, out, on_event)
        if found is None:
            raise KeyboardInterrupt("stopped; nothing was written")
        values = json.loads(found)
        return Trained(Path(values["weights"]), Path(values["module"]), values["accuracy"], values)

    def report(self, path: Optional[PathLike] = None) -> Path:
        """Writes its page, by default `report.html` in its folder, and returns the path."""
        to = self._path / "report.html" if path is None else Path(path)
        _native.report(self._path, to)
        return to

    def plot_history(self, ax: Any = None) -> Any:
        """Plots rewards by trial, and the best so far; returns the axes."""
        from . import plot

        return plot.history(self, ax)

    def plot_ops(self, ax: Any = None) -> Any:
        """Plots how trials with each op did beside those without; bars are 95 % intervals."""
        from . import plot

        return plot.ops(self, ax)

    def plot_importance(self, ax: Any = None) -> Any:
        """Plots what matters according to the surrogate."""
        from . import plot

        return plot.importance(self, ax)

    def plot_learning_curves(self, trials: Optional[Sequence[int]] = None, ax: Any = None) -> Any:
        """Plots accuracy by epoch, by default of no policy and of the best trials."""
        from . import plot

        return plot.learning_curves(self, trials, ax)

    def _inspection(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_native.inspection(self._path))
        return found

    def __str__(self) -> str:
        return _html.table(self)

    def __repr__(self) -> str:
        return f"<deepaug.Study {self._path}>"

    def _repr_html_(self) -> str:
        return _html.study(self)


@contextlib.contextmanager
def _in_words(words: str) -> Iterator[None]:
    """Says on Ctrl-C what has become of the work."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(words) from interrupt


_OPTIONS = (
    "config",
    "model",
    "epochs",
    "train_size",
    "test_size",
    "device",
    "chance",
    "finish",
    "pad",
    "flip",
    "cutout",
    "top",
)


def _options(**keys: Any) -> dict[str, Any]:
    """Returns every option of a final training."""
    unknown = set(keys) - set(_OPTIONS)
    if unknown:
        raise TypeError(f"unknown option {sorted(unknown)[0]!r}; there are {', '.join(_OPTIONS)}")
    options = {key: keys.get(key) for key in _OPTIONS}
    if options["train_size"] is not None:
        options["train_size"] = str(options["train_size"])
    return options
