"""TensorBoard."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from .._results import Event
    from .._study import Study


class TensorBoard:
    """Writes rewards by trial, and accuracy by epoch of each training, for TensorBoard to read from a folder."""

    def __init__(self, folder: Union[str, os.PathLike[str]]) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer: Any = EventFileWriter(os.fspath(folder))

    def _write(self, name: str, value: float, step: int) -> None:
        summary = self._summary(value=[self._summary.Value(tag=name, simple_value=value)])
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=summary))

    def __call__(self, study: Study, event: Event) -> None:
        from ._numbers import of_trial

        numbers = of_trial(event)
        if numbers and event.trial is not None:
            for name, value in numbers.items():
                self._write(f"search/{name}", value, event.trial)
        if event.kind == "epoch" and event.trial is not None and event.reward is not None:
            name = f"training/trial {event.trial} sample {event.values['sample']}"
            self._write(name, event.reward, event.values["record"]["epoch"])

    def close(self) -> None:
        """Writes what is left, when the search has ended or was ended."""
        self._writer.flush()
