"""What objects look like in a notebook, and as text."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from ._native import Dataset, Policy
    from ._results import Comparison, FrozenTrial, Trials
    from ._study import Study

_SHOWN = 5
# Letters of a policy in a table of text; a file holds all of it.
_LETTERS = 120


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"


def _picture(png: bytes) -> str:
    return f'<img alt="" style="max-width: 100%" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _reward(value: Optional[float], kind: str) -> str:
    if value is None:
        return "failed"
    return f"{100 * value:.2f} %" if kind == "accuracy" else f"{value:.4g}"


def _rows(study: Study) -> tuple[list[str], list[list[str]]]:
    kind = study.config["reward"]
    unit = ", points" if kind == "accuracy" else ""
    head = ["rank", "trial", "reward", f"gain over none{unit}", "policy"]
    rows = [
        [str(rank), str(trial.number), _reward(trial.reward, kind), str(trial.gain or ""), _name(trial)]
        for rank, trial in enumerate(study.top_policies(_SHOWN), 1)
    ]
    return head, rows


def _name(trial: FrozenTrial) -> str:
    policy = str(trial.policy)
    return f"{trial.scheme}: {policy}" if trial.scheme else policy


def table(study: Study) -> str:
    """Returns the answer and the best policies as text."""
    if study._result() is None:
        return f"{study.path}: {len(study.trials)} trials, and nothing to compare yet"
    head, rows = _rows(study)
    rows = [[*row[:-1], row[-1] if len(row[-1]) <= _LETTERS else f"{row[-1][:_LETTERS]}..."] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head) - 1)]
    lines = ["  ".join([*(cell.rjust(width) for cell, width in zip(row, widths)), row[-1]]) for row in [head, *rows]]
    return "\n".join([study.verdict, "", *lines])


def study(study: Study) -> str:
    """Returns the same for a notebook."""
    if study._result() is None:
        return f"<p>{html.escape(table(study))}</p>"
    head, rows = _rows(study)
    return f"<p><b>{html.escape(study.verdict)}</b></p>{_table(head, rows)}<p>{html.escape(str(study.path))}</p>"


def trials(trials: Trials) -> str:
    """Returns a table of trials."""
    rows = [
        [
            str(trial.number),
            trial.state,
            "" if trial.reward is None else f"{trial.reward:.4f}",
            "" if trial.gain is None else f"{trial.gain.mean:+.4f}",
            _name(trial),
        ]
        for trial in trials
    ]
    return _table(["trial", "state", "reward", "gain over none", "policy"], rows)


def policy(policy: Policy) -> str:
    """Returns a policy's picture and its words."""
    words = f"<p>{html.escape(str(policy))}<br>{html.escape(str(policy.application))}</p>"
    return words + _picture(policy.preview(draws=1)._repr_png_())


def dataset(dataset: Dataset) -> str:
    """Returns a table of classes, and images of each."""
    summary: dict[str, Any] = json.loads(dataset._summary())
    parts = ("train", "validation", "test")
    rows = [[one["name"], *(str(one[part]) for part in parts)] for one in summary["classes"]]
    height, width, channels = summary["shape"]
    words = f"{summary['images']} images, {width}x{height}, {'grey' if channels == 1 else 'RGB'}"
    warnings = "".join(f"<p>{html.escape(warning)}</p>" for warning in summary["warnings"])
    picture = _picture(dataset.preview()._repr_png_())
    return f"<p>{words}</p>{_table(['class', *parts], rows)}{warnings}{picture}"


def comparison(comparison: Comparison) -> str:
    """Returns a table of schemes."""
    rows = [
        [scheme.name, _reward(scheme.accuracy, "accuracy"), str(scheme.gain or ""), scheme.what]
        for scheme in comparison.schemes
    ]
    head = ["scheme", "accuracy", "gain over none, points", "what it does"]
    return f"<p><b>{html.escape(comparison.verdict)}</b></p>{_table(head, rows)}"
