"""Plots of studies, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from ._study import Study

_TOP = 15
_LEAST = 0.001


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _words(study: Study) -> str:
    kind = str(study.config["reward"])
    return "validation accuracy" if kind == "accuracy" else kind


def history(study: Study, ax: Any = None) -> Any:
    """Plots rewards by trial, the best so far, and no policy."""
    ax = _axes(ax)
    trials = [trial for trial in study.trials if trial.reward is not None]
    is_loss = study.config["reward"] == "loss"
    best: list[float] = []
    for trial in trials:
        reward = float(trial.reward or 0.0)
        counts = trial.state == "complete"
        better = reward if not best else (min if is_loss else max)(best[-1], reward)
        best.append(better if counts or not best else best[-1])
    for state, marker in (("complete", "o"), ("pruned", "x")):
        of_state = [trial for trial in trials if trial.state == state and trial.number > 0]
        if of_state:
            ax.scatter([t.number for t in of_state], [t.reward for t in of_state], marker=marker, s=18, label=state)
    if trials:
        ax.step([trial.number for trial in trials], best, where="post", label="best so far")
        if trials[0].number == 0:
            ax.axhline(trials[0].reward, linestyle=":", color="grey", label="no policy")
    ax.set(xlabel="trial", ylabel=_words(study), title="Search")
    ax.legend()
    return ax


def ops(study: Study, ax: Any = None) -> Any:
    """Plots the difference between trials with each op and those without."""
    ax = _axes(ax)
    effects = [effect for effect in study._inspection()["ops"] if effect["difference"] is not None][:_TOP][::-1]
    names = [effect["op"] for effect in effects]
    means = [effect["difference"] for effect in effects]
    ends = [effect["interval"] or (mean, mean) for effect, mean in zip(effects, means)]
    bars = [[mean - low for mean, (low, _) in zip(means, ends)], [high - mean for mean, (_, high) in zip(means, ends)]]
    ax.errorbar(means, range(len(names)), xerr=bars, fmt="o")
    ax.set_yticks(range(len(names)), names)
    ax.axvline(0.0, color="grey", linewidth=1)
    ax.set(xlabel=f"{_words(study)} with the op, above that without it (95 %)", title="Ops")
    return ax


def importance(study: Study, ax: Any = None) -> Any:
    """Plots the share of the variance of predicted rewards that each part of a policy explains."""
    ax = _axes(ax)
    found = [one for one in study._inspection()["importance"] if one["share"] >= _LEAST][:_TOP][::-1]
    ax.barh([one["of"] for one in found], [one["share"] for one in found])
    ax.set(xlabel="share of the variance of predicted rewards", title="Importance")
    return ax


def learning_curves(study: Study, trials: Optional[Sequence[int]] = None, ax: Any = None) -> Any:
    """Plots accuracy by epoch, the mean over each trial's trainings."""
    ax = _axes(ax)
    known = study.trials
    chosen = [0, *(trial.number for trial in study.top_policies(3))] if trials is None else trials
    for number in chosen:
        trial = known[number]
        length = min((len(curve) for curve in trial.curves), default=0)
        if length:
            means = [sum(curve[epoch] for curve in trial.curves) / len(trial.curves) for epoch in range(length)]
            name = "no policy" if number == 0 else trial.scheme or f"trial {number}"
            # A line through one point is none.
            ax.plot(range(1, length + 1), means, marker="." if length == 1 else None, label=name)
    ax.set(xlabel="epoch", ylabel=_words(study), title="Learning curves")
    ax.legend()
    return ax
