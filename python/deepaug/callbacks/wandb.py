"""Weights & Biases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._results import Event
    from .._study import Study


class WandB:
    """Writes a search into a run of Weights & Biases: one step a trial. The active run is used, or one is begun with
    these arguments of `wandb.init`."""

    def __init__(self, **init: Any) -> None:
        import wandb

        self._wandb: Any = wandb
        self._init = init
        self._began = False

    def __call__(self, study: Study, event: Event) -> None:
        from ._numbers import of_trial

        if event.kind == "started":
            if self._wandb.run is None:
                self._wandb.init(**{"name": study.path.name, **self._init})
                self._began = True
            self._wandb.config.update(dict(study.config), allow_val_change=True)
        numbers = of_trial(event)
        if numbers:
            self._wandb.log(numbers, step=event.trial)
        if event.kind == "finished":
            self._wandb.run.summary["verdict"] = study.verdict
            self._wandb.save(str(study.path / "best_policy.json"), base_path=str(study.path), policy="now")

    def close(self) -> None:
        """Ends the run, if it was begun here."""
        if self._began:
            self._wandb.finish()
            self._began = False
