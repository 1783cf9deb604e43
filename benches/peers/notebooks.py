"""Writes notebooks in both of DeepAugment's shapes, with made numbers, and the best policies that pandas finds in them, as
DeepAugment 1.1.2 does: the fixtures of `crates/deepaug/src/inspect/tests.rs`.

    pip install pandas
    python benches/peers/notebooks.py crates/deepaug/tests/notebooks
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

OPS = ["crop", "gaussian-blur", "rotate", "shear", "translate-x", "sharpen", "dropout", "fog", "coarse-salt-pepper"]
rng = np.random.default_rng(3)


def rows(trials, samples, epochs, places, portion, reward):
    for trial in trials:
        policy = {}
        for place in places:
            policy[f"{place}_type"] = str(rng.choice(OPS))
            policy[f"{place}_magnitude"] = round(float(rng.random()), 3)
        if portion:
            policy["portion"] = round(float(rng.random()), 3)
        for sample in range(1, samples + 1):
            val_acc = np.sort(rng.normal(0.8 + 0.02 * rng.random(), 0.01, epochs)).round(3)
            acc = val_acc + rng.normal(0.05, 0.03, epochs)
            mean = float(np.mean(val_acc[acc - val_acc <= 0.10][-3:]))
            for epoch in range(epochs):
                start = {"acc": acc[epoch], "loss": 2 - acc[epoch], "val_acc": val_acc[epoch], "val_loss": 2 - val_acc[epoch]}
                end = {"sample_no": sample, reward: mean, "epoch": epoch + 1}
                if portion:
                    end["acc_overfit"] = acc[epoch] - val_acc[epoch]
                yield {**start, "trial_no": trial, **policy, **end}


def top(frame, reward):
    """Each trial once, by the mean over its samples; the increase over trial 0 where there is one."""
    means = frame.drop_duplicates(["trial_no", "sample_no"]).groupby("trial_no")[reward].mean()
    baseline = means.get(0)
    best = means.drop(0, errors="ignore").sort_values(ascending=False, kind="stable")
    increase = (lambda value: None) if baseline is None else (lambda value: 100 * (value - baseline))
    return [{"trial": int(trial), "reward": value, "increase": increase(value)} for trial, value in best.items()]


def write(folder, name, frame, reward):
    frame.to_csv(folder / f"{name}.csv", index=False)
    # Read again: what pandas makes of the file is what counts.
    found = top(pd.read_csv(folder / f"{name}.csv"), reward)
    (folder / f"{name}-top.json").write_text(json.dumps({"pandas": pd.__version__, "top": found}, indent=1) + "\n")


folder = Path(sys.argv[1])
# No trial 0, and rows that do not lie together by trial.
single = pd.DataFrame(rows(range(1, 15), 2, 4, ["aug1", "aug2"], True, "reward"))
write(folder, "2019-02", single.sample(frac=1, random_state=1), "reward")
places = [f"{letter}_aug{i}" for letter in "ABCDE" for i in (1, 2)]
several = pd.DataFrame(rows(range(0, 9), 3, 3, places, False, "mean_late_val_acc"))
# One training of which DeepAugment made NaN.
several.loc[(several.trial_no == 4) & (several.sample_no == 2), "mean_late_val_acc"] = np.nan
write(folder, "1.1.2", several, "mean_late_val_acc")
