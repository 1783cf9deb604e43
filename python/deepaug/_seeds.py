"""Seeds of policies that are called without one.

With PyTorch they follow its generator, so that `torch.manual_seed` repeats a run, and the seed of a data loader's
worker, so that no two workers draw the same. Without it they come from the system, anew in each process.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

_BITS = 63
_own = random.Random()
_of_worker: list[Any] = [None, _own]

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own.seed)


def _worker() -> Any:
    data = sys.modules.get("torch.utils.data")
    # Absent while PyTorch is being imported.
    info = getattr(data, "get_worker_info", None)
    return info() if info is not None else None


def is_worker() -> bool:
    """Returns whether this process is a worker of a data loader of PyTorch."""
    return _worker() is not None


def fresh() -> int:
    """Returns a seed for one call."""
    torch = sys.modules.get("torch")
    if torch is None:
        return _own.getrandbits(_BITS)
    worker = _worker()
    if worker is None:
        randint = getattr(torch, "randint", None)
        return _own.getrandbits(_BITS) if randint is None else int(randint(2**_BITS - 1, ()))
    key = (os.getpid(), worker.seed)
    if _of_worker[0] != key:
        _of_worker[:] = [key, random.Random(worker.seed)]
    seed: int = _of_worker[1].getrandbits(_BITS)
    return seed
