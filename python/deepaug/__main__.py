"""Runs the command: `python -m deepaug`, or `deepaug`."""

from __future__ import annotations

import signal
import sys

from ._native import main as run


def main() -> int:
    """Runs the command with the arguments of this process, and returns its exit code."""
    # The command has its own way of ending on Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run(["deepaug", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
