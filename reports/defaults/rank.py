"""Spearman's correlation between rewards of several kinds and test accuracy, over the policies of each study (rank.sh).

    python reports/defaults/rank.py FOLDER

Needs scipy. Rewards are computed from the notebook's epochs, with K = 3; test accuracies are those of compare-rank.json.
"""

import csv
import json
import pathlib
import sys
from collections import defaultdict

from scipy.stats import spearmanr

K = 3


def highest(epochs):
    return sum(sorted((epoch["val_acc"] for epoch in epochs), reverse=True)[:K]) / K


def within(training_accuracy, tolerance):
    """The mean of the K highest among epochs within the tolerance, filled up with the least overfitted ones."""

    def reward(epochs):
        gap = lambda epoch: epoch[training_accuracy] - epoch["val_acc"]
        kept = [epoch for epoch in epochs if gap(epoch) <= tolerance]
        if len(kept) < K:
            kept = sorted(epochs, key=gap)[:K]
        return highest(kept)

    return reward


REWARDS = {"off": highest, "deepaugment, 0.1": within("acc", 0.1)}
REWARDS |= {f"evaluation, {tolerance}": within("train_acc", tolerance) for tolerance in (0.05, 0.1, 0.2, 0.3)}

totals = defaultdict(list)
for comparison in sorted(pathlib.Path(sys.argv[1]).glob("*/compare-rank.json")):
    accuracy = {trial["trial"]: trial["accuracy"] for trial in json.loads(comparison.read_text())["rank_check"]["trials"]}
    trainings = defaultdict(list)
    with open(comparison.parent / "notebook.csv", newline="") as notebook:
        for row in csv.DictReader(notebook):
            if row["phase"] == "search" and row["val_acc"]:
                numbers = {name: float(row[name]) for name in ("acc", "val_acc", "train_acc")}
                trainings[int(row["trial_no"]), row["sample_no"]].append(numbers)
    found = []
    for name, reward in REWARDS.items():
        samples = defaultdict(list)
        for (trial, _), epochs in trainings.items():
            samples[trial].append(reward(epochs))
        mean = {trial: sum(values) / len(values) for trial, values in samples.items()}
        trials = sorted(accuracy)
        rho = spearmanr([mean[trial] for trial in trials], [accuracy[trial] for trial in trials]).statistic
        totals[name].append(rho)
        found.append(f"{rho:+.2f}")
    print(f"| {comparison.parent.name} | " + " | ".join(found) + " |")
print("| mean | " + " | ".join(f"{sum(values) / len(values):+.2f}" for values in totals.values()) + " |")
print("columns: " + ", ".join(REWARDS))
