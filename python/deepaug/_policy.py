"""What policies need of Python."""

from __future__ import annotations

import csv
import json
import os
from typing import Any, NamedTuple

from ._errors import PolicyError
from ._native import Policy


class Step(NamedTuple):
    """An op at a magnitude in 0..1, for an image with a probability."""

    op: str
    magnitude: float
    probability: float = 1.0


def from_json(text: str) -> Policy:
    """Restores a pickled policy."""
    return Policy.from_json(text)


def indented(text: str, indent: int) -> str:
    """Lays out JSON for people."""
    return json.dumps(json.loads(text), indent=indent)


def row_of_table(path: os.PathLike[str], rank: int) -> str:
    """Returns the JSON of a policy in a table such as `top_policies.csv`."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("policy")]
    if not rows:
        raise PolicyError(f"{os.fspath(path)}: no column named policy, or nothing in it")
    if rank > len(rows):
        raise PolicyError(f"{os.fspath(path)}: rank {rank} of {len(rows)}")
    return str(rows[rank - 1]["policy"])


def run_code(policy: Policy, target: str) -> Any:
    """Returns the transform that exported code defines."""
    scope: dict[str, Any] = {"__name__": f"deepaug_exported_{target}"}
    exec(compile(policy.to_code(target), f"<policy as {target}>", "exec"), scope)
    return scope["DeepaugPolicy"]()
