"""What callbacks write of an event."""

from __future__ import annotations

from typing import Optional

from .._results import Event


def of_trial(event: Event) -> Optional[dict[str, float]]:
    """Returns the numbers of a trial that has ended."""
    if event.kind not in ("trial", "pruned") or event.trial is None or event.reward is None:
        return None
    numbers = {"reward": event.reward}
    progress = event.values.get("progress") or {}
    if progress.get("best"):
        numbers["best_reward"] = progress["best"][1]
    if progress.get("baseline") is not None:
        numbers["baseline"] = progress["baseline"]
    return numbers
