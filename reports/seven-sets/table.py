"""The tables of ../seven-sets.md from the studies of run.sh.

    python reports/seven-sets/table.py FOLDER

Needs numpy and scipy. Gains of the answer are paired by seed, with 95 % intervals (Student's t) that are not corrected for the
number of schemes: what is asked of each is whether the answer is worse, and a correction would hide it.
"""

import json
import pathlib
import sys

import numpy as np
from scipy import stats

ANSWER = "searched"

def gain(a, b):
    difference = 100 * (np.array(a) - np.array(b))
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / np.sqrt(len(difference))
    return difference.mean(), difference.mean() - half, difference.mean() + half

def text(gain):
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(*gain)

for finish in ("none", "full"):
    rows, over_trivial = [], []
    for path in sorted(pathlib.Path(sys.argv[1]).glob(f"*/compare-{finish}.json")):
        compared = json.loads(path.read_text())
        accuracies = {scheme["name"]: scheme["accuracies"] for scheme in compared["schemes"]}
        answer = accuracies.pop(ANSWER)

        cost = compared["search_cost"]["seconds"]
        rows.append((path.parent.name, accuracies, answer, cost, len(answer)))
        over_trivial.append(np.mean(answer) - np.mean(accuracies["trivialaugment"]))
    if not rows:
        continue
    names = list(rows[0][1])
    print(f"\nFinish {finish}, accuracy in percent:\n")
    print("| set | " + " | ".join(names) + " | the answer |")
    print("| --- |" + " --- |" * (len(names) + 1))
    for name, accuracies, answer, *_ in rows:
        cells = [f"{100 * np.mean(a):.1f} ± {100 * np.std(a, ddof=1):.1f}" for a in [*accuracies.values(), answer]]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\nWhat the answer gains, in points:\n")
    print("| set | over none | over the best that needs no search, afterwards | over trivialaugment | training time of the search |")
    print("| --- | --- | --- | --- | --- |")
    for name, accuracies, answer, cost, seeds in rows:
        free = max((other for other in accuracies if other != "none"), key=lambda other: np.mean(accuracies[other]))
        cells = [text(gain(answer, accuracies["none"])), f"{text(gain(answer, accuracies[free]))}, {free}"]
        cells.append(text(gain(answer, accuracies["trivialaugment"])))
        minutes = f"{cost / 60:.0f} min" if cost else ""
        print(f"| {name} | " + " | ".join(cells) + f" | {minutes} |")
    print(f"\nOver trivialaugment on the mean of {len(rows)} sets: {100 * np.mean(over_trivial):+.2f} points.")
