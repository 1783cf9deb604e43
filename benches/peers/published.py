"""Compares the published policies with torchvision's: AutoAugment's op by op, and what RandAugment and TrivialAugment draw from.

    pip install torchvision
    python benches/peers/published.py target/release/deepaug
"""

import json
import subprocess
import sys

import torchvision
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide

NAMES = {
    "TranslateX": "translate-x-nearest", "TranslateY": "translate-y-nearest", "Rotate": "rotate-nearest",
    "Color": "saturation", "ShearX": "shear-x", "ShearY": "shear-y", "AutoContrast": "auto-contrast",
}  # fmt: skip


def name(op):
    return NAMES.get(op, op.lower())


def ours(policy):
    out = subprocess.run([sys.argv[1], "export", "--policy", policy, "--to", "json"], capture_output=True, check=True)
    return json.loads(out.stdout)["sub_policies"]


for member in AutoAugmentPolicy:
    theirs = [
        [(name(op), p, None if level is None else level / 10) for op, p, level in pair]
        for pair in AutoAugment(member).policies
    ]
    found = [
        # Ops without a level there have one here that changes nothing.
        [(s["op"], s.get("probability", 1.0), None if theirs[i][k][2] is None else s["magnitude"]) for k, s in enumerate(pair["ops"])]
        for i, pair in enumerate(ours(f"autoaugment-{member.value}"))
    ]  # fmt: skip
    assert found == theirs, member

drawn = {name(op) for op in RandAugment()._augmentation_space(31, (32, 32))} - {"identity"}
assert drawn == {name(op) for op in TrivialAugmentWide()._augmentation_space(31)} - {"identity"}
for policy in ("randaugment-1-9", "trivialaugment"):
    sub_policies = ours(policy)
    assert {pair["ops"][0]["op"] for pair in sub_policies if pair["ops"]} == drawn, policy
    assert 14 * sum(not pair["ops"] for pair in sub_policies) == len(sub_policies), policy
print("equal to those of torchvision", torchvision.__version__)
