"""What studies have found: trials, gains, comparisons, trained models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union, overload

from . import _html
from ._native import Policy

if TYPE_CHECKING:
    import pandas

_KINDS = {
    "started": "started",
    "judging_started": "started",
    "epoch": "epoch",
    "trained": "trained",
    "judged": "trained",
    "training_failed": "failed",
    "confirming": "confirming",
    "search_ended": "finished",
}


class Event(NamedTuple):
    """Something that has happened in a study or a comparison."""

    kind: str
    """"started", "epoch", "trained" (one training), "trial" (all trainings of a policy), "pruned", "failed",
    "confirming" or "finished"; others are named as `--json` names them."""
    trial: Optional[int]
    policy: Optional[Policy]
    reward: Optional[float]
    values: Mapping[str, Any]
    """All of it, as the command's `--json` writes it."""


class Gain(NamedTuple):
    """A mean difference from no policy over trainings paired by their seeds, in the unit of the reward."""

    mean: float
    low: Optional[float]
    """The ends of its 95 % interval; None with too few seeds for one."""
    high: Optional[float]
    seeds: int
    is_fresh: bool
    """Whether the seeds are fresh: in the search itself, the gain of the best of many is too high."""
    reward: str = "accuracy"
    """The kind of reward. Of gains more is better, of losses too."""

    def __str__(self) -> str:
        """Words such as +2.31 (+0.40 to +4.22, 5 fresh seeds): in points where rewards are accuracies, and with the sign of
        their difference where they are losses."""
        scale = {"accuracy": 100.0, "loss": -1.0}.get(self.reward, 1.0)
        ends = sorted([scale * (self.low or 0.0), scale * (self.high or 0.0)])
        digits = "+.2f" if self.reward == "accuracy" else "+.4g"
        interval = "" if self.low is None else f"{ends[0]:{digits}} to {ends[1]:{digits}}, "
        seeds = "1 seed" if self.seeds == 1 else f"{self.seeds} fresh seeds" if self.is_fresh else f"{self.seeds} seeds"
        return f"{scale * self.mean:{digits}} ({interval}{seeds}{'' if self.is_fresh else ' of the search'})"


class FrozenTrial(NamedTuple):
    """A trial as it stands."""

    number: int
    policy: Policy
    reward: Optional[float]
    state: str
    """"pending", "complete", "failed" or "pruned"."""
    gain: Optional[Gain]
    seconds: Optional[float]
    scheme: Optional[str]
    """The policy's name, if it needs no search."""
    curves: list[list[float]]
    """The validation accuracy by epoch of each training of the search, or what was reported."""
    failed: list[str]
    """Why trainings failed."""


class Trials(Sequence[FrozenTrial]):
    """The trials of a study, by number."""

    def __init__(self, trials: Iterable[FrozenTrial]) -> None:
        self._trials = list(trials)

    @overload
    def __getitem__(self, index: int, /) -> FrozenTrial: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[FrozenTrial]: ...
    def __getitem__(self, index: Union[int, slice], /) -> Union[FrozenTrial, list[FrozenTrial]]:
        return self._trials[index]

    def __len__(self) -> int:
        return len(self._trials)

    def to_dict(self) -> dict[str, list[Any]]:
        """Returns columns: number, state, reward, gain, gain_low, gain_high, seeds, seconds, scheme, policy."""
        gains = [trial.gain for trial in self]
        return {
            "number": [trial.number for trial in self],
            "state": [trial.state for trial in self],
            "reward": [trial.reward for trial in self],
            "gain": [gain and gain.mean for gain in gains],
            "gain_low": [gain and gain.low for gain in gains],
            "gain_high": [gain and gain.high for gain in gains],
            "seeds": [gain and gain.seeds for gain in gains],
            "is_fresh": [gain and gain.is_fresh for gain in gains],
            "seconds": [trial.seconds for trial in self],
            "scheme": [trial.scheme for trial in self],
            "policy": [trial.policy.to_json() for trial in self],
        }

    def to_pandas(self) -> pandas.DataFrame:
        """Returns them as a data frame of pandas."""
        import pandas

        return pandas.DataFrame(self.to_dict())

    def __arrow_c_stream__(self, requested_schema: Optional[object] = None) -> object:
        """Lets polars, duckdb and pyarrow take them; pyarrow must be installed."""
        import pyarrow

        return pyarrow.table(self.to_dict()).__arrow_c_stream__(requested_schema)

    def __dataframe__(self, *arguments: Any, **keys: Any) -> Any:
        """Lets libraries take them that know the interchange protocol of data frames; pandas must be installed."""
        frame: Any = self.to_pandas()
        return frame.__dataframe__(*arguments, **keys)

    def _repr_html_(self) -> str:
        return _html.trials(self)

    def __repr__(self) -> str:
        return f"<deepaug.Trials: {len(self)}>"


class Scheme(NamedTuple):
    """A way of augmenting that was compared."""

    name: str
    what: str
    """What it does, in words."""
    accuracy: Optional[float]
    """The mean over seeds on test images; None if every training failed."""
    gain: Optional[Gain]
    """The gain over none."""
    p: Optional[float]
    """The two-sided p-value of that gain, not corrected for several schemes."""


class Comparison(NamedTuple):
    """Schemes compared with paired seeds on test images."""

    schemes: list[Scheme]
    verdict: str
    path: Path
    """The file with all of it."""

    def _repr_html_(self) -> str:
        return _html.comparison(self)


class Trained(NamedTuple):
    """A trained model."""

    weights: Path
    """safetensors, in PyTorch's names and layout."""
    model: Path
    """A module of PyTorch that loads them; see `deepaug.torch.load_model`."""
    accuracy: float
    """On test images, after the last epoch."""
    values: Mapping[str, Any]
    """The whole record."""


def _gain(values: Optional[Mapping[str, Any]], is_fresh: bool) -> Optional[Gain]:
    if values is None:
        return None
    low, high = values["interval"] or (None, None)
    return Gain(values["mean"], low, high, values["pairs"], is_fresh, values.get("kind", "accuracy"))


def frozen(record: Mapping[str, Any]) -> FrozenTrial:
    """Makes a trial of its record."""
    return FrozenTrial(
        number=record["trial"],
        policy=Policy.from_json(json.dumps(record["policy"])),
        reward=record["reward"],
        state=record["state"],
        gain=_gain(record["gain"], record["is_confirmed"]),
        seconds=record["seconds"],
        scheme=record["scheme"],
        curves=record["curves"],
        failed=record["failed"],
    )


def comparison(study: Path, found: Optional[Mapping[str, Any]]) -> Comparison:
    """Makes a comparison of its result."""
    if found is None:
        raise KeyboardInterrupt("stopped; everything finished is kept, and the same call goes on")
    schemes = [
        Scheme(
            name=scheme["name"],
            what=scheme["what"],
            accuracy=scheme["mean"],
            gain=_gain(scheme["gain"], True),
            p=(scheme["gain"] or {}).get("p"),
        )
        for scheme in found["schemes"]
    ]
    return Comparison(schemes, found["sentence"], study / f"compare-{found['name']}.json")


def event(values: Mapping[str, Any]) -> Event:
    """Makes an event of its JSON."""
    name = values["event"]
    kind = _KINDS.get(name, name)
    reward = values.get("reward", values.get("accuracy"))
    if name == "trial_finished":
        kind = "pruned" if values["behind"] else "trial" if reward is not None else "failed"
    elif name == "epoch":
        reward = values["record"]["val_acc"]
    policy = values.get("policy")
    made = Policy.from_json(json.dumps(policy)) if isinstance(policy, Mapping) else None
    return Event(kind, values.get("trial"), made, reward, values)
