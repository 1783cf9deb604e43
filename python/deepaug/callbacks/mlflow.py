"""MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from .._results import Event
    from .._study import Study


class MLflow:
    """Writes a search into a run of MLflow: the configuration as parameters, rewards by trial as metrics, and the study's
    result as artifacts. The active run is used, or one is begun."""

    def __init__(self, run_name: Optional[str] = None) -> None:
        import mlflow

        self._mlflow: Any = mlflow
        self._name = run_name
        self._began = False

    def __call__(self, study: Study, event: Event) -> None:
        from ._numbers import of_trial

        if event.kind == "started":
            if self._mlflow.active_run() is None:
                self._mlflow.start_run(run_name=self._name or study.path.name)
                self._began = True
            # MLflow takes a hundred parameters at once, of 500 letters each.
            values = [(key, str(value)[:500]) for key, value in study.config.items()]
            for first in range(0, len(values), 100):
                self._mlflow.log_params(dict(values[first : first + 100]))
        numbers = of_trial(event)
        if numbers:
            self._mlflow.log_metrics(numbers, step=event.trial)
        if event.kind == "finished":
            for name in ("best_policy.json", "notebook.csv", "result.json"):
                path = study.path / name
                if path.is_file():
                    self._mlflow.log_artifact(str(path))
            self._mlflow.set_tag("deepaug.verdict", study.verdict)

    def close(self) -> None:
        """Ends the run, if it was begun here."""
        if self._began:
            self._mlflow.end_run()
            self._began = False
