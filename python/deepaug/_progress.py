"""Progress of long work: a bar in terminals and notebooks, lines of a log elsewhere."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional, Union

Shown = Union[None, bool, str]
"""None: a bar in a terminal or a notebook, else the log alone. True or "bar", False, or "log": a line for each trial."""

logger = logging.getLogger("deepaug")


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


class _Line:
    """A line of the terminal that is written again and again, where tqdm is not installed."""

    def __init__(self) -> None:
        self.total, self.n, self.words = 0, 0, ""

    def refresh(self) -> None:
        text = f"{self.n}/{self.total} {self.words}" if self.total else self.words
        print(f"\r{text[:100]:<100}", end="", file=sys.stderr, flush=True)

    def set_postfix_str(self, words: str, refresh: bool = True) -> None:
        self.words = words
        if refresh:
            self.refresh()

    def close(self) -> None:
        print(file=sys.stderr)


def check(shown: Shown) -> None:
    """Refuses what is no way of showing progress."""
    if shown not in (None, True, False, "bar", "log"):
        raise ValueError(f'progress must be None, True, False, "bar" or "log", not {shown!r}')


class Progress:
    """Shows events as they come."""

    def __init__(self, shown: Shown) -> None:
        check(shown)
        stderr = sys.stderr
        is_live = bool(stderr is not None and stderr.isatty()) or _in_notebook()
        self._is_bar = shown in (True, "bar") or (shown is None and is_live)
        self._prints = shown == "log"
        self._bar: Any = None

    def _made(self) -> Any:
        if self._bar is None:
            try:
                from tqdm.auto import tqdm

                self._bar = tqdm(total=0, leave=False, dynamic_ncols=True)
            except ImportError:
                self._bar = _Line()
        return self._bar

    def show(self, values: Mapping[str, Any], words: str) -> None:
        """Shows an event."""
        name = values["event"]
        is_detail = name in ("epoch", "trial_started", "trained", "judged") and values.get("phase") != "confirm"
        logger.log(logging.DEBUG if name == "epoch" else logging.INFO, "%s", words)
        if self._prints and not is_detail:
            print(words, file=sys.stderr, flush=True)
        if not self._is_bar:
            return
        bar = self._made()
        total, done = _counts(values)
        if total is not None:
            bar.total = total
        if done is not None:
            bar.n = done
        elif name in ("trained", "judged") and values["phase"] == "confirm":
            bar.n += 1
        if name in ("trial_finished", "epoch", "trained", "judged", "confirming", "sized"):
            bar.set_postfix_str(words.splitlines()[0][:80], refresh=False)
        bar.refresh()

    def close(self) -> None:
        """Restores the terminal."""
        if self._bar is not None:
            self._bar.close()


def _counts(values: Mapping[str, Any]) -> tuple[Optional[int], Optional[int]]:
    """Returns how many trainings there are, and how many are done, if an event says so."""
    progress = values.get("progress")
    if progress:
        return progress["trainings"], progress["trainings_done"]
    if values["event"] == "epoch" and "trial" not in values and "scheme" not in values:
        return values["epochs"], values["record"]["epoch"]
    return values.get("trainings"), values.get("done", values.get("known"))


@contextlib.contextmanager
def attended(
    progress: Progress,
    log: Optional[os.PathLike[str]],
    tell: Optional[Callable[[Mapping[str, Any]], None]],
) -> Iterator[Callable[[str, str], None]]:
    """Gives what native work calls with its events, as JSON and in words; writes them into a log file as well."""
    file = None if log is None else open(log, "a", encoding="utf-8")

    def on_event(text: str, words: str) -> None:
        values = json.loads(text)
        if file is not None and values["event"] != "epoch":
            time = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
            print(time, " INFO", words, file=file, flush=True)
        progress.show(values, words)
        if tell is not None:
            tell(values)

    try:
        yield on_event
    finally:
        progress.close()
        if file is not None:
            file.close()
