"""Callbacks that follow a search: each needs the library that it is named after, which is imported when it is made.

Nothing here opens a network connection by itself; MLflow and Weights & Biases do so if they are set up to.
"""

from __future__ import annotations

from .mlflow import MLflow
from .tensorboard import TensorBoard
from .wandb import WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]
