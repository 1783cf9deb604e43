"""Tables and plots of searches: medians, quartiles, and a paired rank test against one method.

    python benches/search/summary.py --plots reports/search *.csv

Reads what `deepaug-search-bench run` and `peers.py` print. Seeds are instances of a function with their noise, the same for every
method, so that differences are paired by seed: Wilcoxon's signed rank test, two-sided, with Holm's correction for the number of
methods it is made against on a function.
"""

import argparse
import csv
import pathlib
from collections import defaultdict

import numpy as np
from scipy.stats import wilcoxon

MARKS = (50, 100, 200, 300)
NAMES = {"bayesian_optimization": "deepaug", "lfbo": "deepaug, lfbo", "random": "random search",
         "skopt": "scikit-optimize", "smac": "SMAC3", "optuna": "Optuna"}
COLOURS = {"bayesian_optimization": "#0b6bcb", "lfbo": "#7fb4e6", "random": "#9aa5b1", "skopt": "#b42318",
           "smac": "#e07a1f", "optuna": "#14804a"}


def read(paths):
    """Regrets by function, method, seed and number of evaluations."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for path in paths:
        with open(path, newline="") as file:
            for row in csv.reader(file):
                if len(row) == 6 and row[0] != "function":
                    function, method, seed, evaluations, regret, _ = row
                    found[function][method][int(seed)][int(evaluations)] = float(regret)
    return found


def holm(values):
    """p-values corrected for their number."""
    order, corrected, least = np.argsort(values), np.zeros(len(values)), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = least
    return corrected


def table(function, methods, against, digits):
    whole = {method: {seed: rows for seed, rows in seeds.items() if max(MARKS) in rows or max(rows) >= 100}
             for method, seeds in methods.items()}
    print(f"\n| {function} | seeds | " + " | ".join(map(str, MARKS)) + " | p at 100 | p at 300 |")
    print("| --- | --- |" + " --- |" * (len(MARKS) + 2))
    tests = {}
    for mark in (100, 300):
        values = {}
        for method in NAMES:
            if method == against or method not in whole or against not in whole:
                continue
            both = [seed for seed, rows in whole[method].items() if mark in rows and mark in whole[against].get(seed, {})]
            pairs = np.array([[whole[against][seed][mark], whole[method][seed][mark]] for seed in both])
            if len(both) > 5 and (pairs[:, 0] != pairs[:, 1]).any():
                values[method] = wilcoxon(pairs[:, 0], pairs[:, 1]).pvalue
        tests[mark] = dict(zip(values, holm(np.array(list(values.values())))))
    for method in NAMES:
        if method not in whole:
            continue
        cells = []
        for mark in MARKS:
            regrets = [rows[mark] for rows in whole[method].values() if mark in rows]
            if len(regrets) > 1:
                low, middle, high = np.percentile(regrets, (25, 50, 75))
                cells.append(f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
            else:
                cells.append("")
        p = [f"{tests[mark][method]:.1e}" if method in tests[mark] else "" for mark in (100, 300)]
        print(f"| {NAMES[method]} | {len(whole[method])} | " + " | ".join(cells) + f" | {p[0]} | {p[1]} |")
    if "skopt" in whole and against in whole:
        last = max(step for rows in whole["skopt"].values() for step in rows if step in MARKS)
        goal = np.median([rows[last] for rows in whole["skopt"].values() if last in rows])
        steps = sorted(next(iter(whole[against].values())))
        ours = [np.median([rows[step] for rows in whole[against].values() if step in rows]) for step in steps]
        first = next((step for step, regret in zip(steps, ours) if regret <= goal), None)
        print(f"\nscikit-optimize's median at {last}, {goal:.{digits}f}, is reached after "
              f"{first if first else 'more than 300'} evaluations.")


def plot(found, folder):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    functions = [name for name in ORDER if name in found]
    columns = 2
    figure, axes = plt.subplots(-(-len(functions) // columns), columns, figsize=(9, 2.9 * -(-len(functions) // columns)))
    for axis, function in zip(axes.flat, functions):
        for method in NAMES:
            seeds = found[function].get(method)
            if not seeds:
                continue
            steps = sorted({step for rows in seeds.values() for step in rows})
            at = [[rows[step] for rows in seeds.values() if step in rows] for step in steps]
            low, middle, high = np.array([np.percentile(values, (25, 50, 75)) for values in at]).T
            axis.plot(steps, middle, color=COLOURS[method], label=NAMES[method], lw=1.8)
            axis.fill_between(steps, low, high, color=COLOURS[method], alpha=0.12, lw=0)
        axis.set_title(function, fontsize=10, loc="left")
        axis.set_xlim(10, 300)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
    for axis in axes.flat[len(functions):]:
        axis.axis("off")
    handles = {label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="upper center", ncol=6, fontsize=8, frameon=False)
    figure.supxlabel("evaluations", fontsize=9)
    figure.supylabel("regret of what is recommended, median and quartiles", fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "regret.png", dpi=110)


ORDER = ("fashion-mnist", "cifar10", "policies", "policy", "learners", "slots", "valley", "categories")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--against", default="bayesian_optimization")
    parser.add_argument("--digits", type=int, default=4)
    parser.add_argument("--plots", type=pathlib.Path)
    arguments = parser.parse_args()
    found = read(arguments.tables)
    for function in ORDER:
        if function in found:
            table(function, found[function], arguments.against, arguments.digits)
    if arguments.plots:
        plot(found, arguments.plots)


if __name__ == "__main__":
    main()
