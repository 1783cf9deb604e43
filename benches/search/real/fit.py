"""Real trainings of random policies, as a function to minimise.

    deepaug optimize --config benches/search/real/fashion-mnist.toml --data DATA --out once
    (the same with `iters = 120` and `opt_samples = 2`: the first 120 policies again, twice)      --out twice
    python benches/search/real/fit.py table once/notebook.csv twice/notebook.csv fashion-mnist.csv.gz
    python benches/search/real/fit.py fit fashion-mnist.csv.gz fashion-mnist.json.gz
    deepaug-search-bench lowest fashion-mnist      # built with the file before; then `fit` again with --lowest VALUE

`table` keeps a row a policy: its ops and magnitudes, and the reward of each training. `fit` fits a Gaussian process to the
mean rewards, whose parameters maximise the marginal likelihood; the noise is that which two trainings of one policy show. It
prints how well policies left out are predicted.
"""

import argparse
import csv
import gzip
import json

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

# What one measurement of the benchmark stands for: the mean of so many trainings, DeepAugment's opt_samples.
SAMPLES = 3


def table(notebooks, to):
    rows = {}
    for notebook in notebooks:
        with open(notebook, newline="") as file:
            for row in csv.DictReader(file):
                if row["trial_no"] != "0" and row["mean_late_val_acc"]:
                    rows[int(row["trial_no"]), int(row["sample_no"])] = row
    steps = [name for name in next(iter(rows.values())) if "_aug" in name]
    samples = range(1 + max(sample for _, sample in rows))
    with gzip.open(to, "wt", newline="", compresslevel=9) as file:
        out = csv.writer(file)
        out.writerow(steps + [f"reward_{sample}" for sample in samples])
        for trial in sorted({trial for trial, _ in rows}):
            first = rows[trial, 0]
            policy = [f"{float(first[s]):.4f}" if s.endswith("magnitude") else first[s] for s in steps]
            rewards = [rows.get((trial, sample), {}).get("mean_late_val_acc") for sample in samples]
            out.writerow(policy + [f"{float(reward):.5f}" if reward else "" for reward in rewards])


def read(path):
    """Ops, magnitudes, and rewards, of which some are NaN: one row a policy."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    steps = [name.removesuffix("_type") for name in rows[0] if name.endswith("_type")]
    ops = sorted({row[f"{step}_type"] for row in rows for step in steps})
    op = np.array([[ops.index(row[f"{step}_type"]) for step in steps] for row in rows])
    magnitude = np.array([[float(row[f"{step}_magnitude"]) for step in steps] for row in rows])
    rewards = np.array([[float(row[name] or "nan") for name in row if name.startswith("reward_")] for row in rows])
    return ops, op, magnitude, rewards


def alike(op, magnitude, length):
    """How alike policies are: by steps, and by pairs of steps."""
    policies, places = op.shape
    sequences = places // 2
    by_steps, by_pairs = np.zeros((policies, policies)), np.zeros((policies, policies))

    def step(i, j):
        distance = (magnitude[:, i, None] - magnitude[None, :, j]) / length
        return np.where(op[:, i, None] == op[None, :, j], np.exp(-0.5 * distance ** 2), 0.0)

    for i in range(places):
        for j in range(places):
            e = step(i, j)
            by_steps += e
            if i % 2 == 0 and j % 2 == 0:
                by_pairs += e * step(i + 1, j + 1)
    return by_steps / sequences ** 2, by_pairs / sequences ** 2


def kernel(parts, scales, reach):
    by_steps, by_pairs = parts
    own = np.diag(by_steps)
    distance = np.maximum(own[:, None] + own[None, :] - 2 * by_steps, 0.0)
    return scales[0] * by_steps + scales[1] * by_pairs + scales[2] * np.exp(-0.5 * distance / reach ** 2)


def fit(path, to, lowest):
    ops, op, magnitude, rewards = read(path)
    # Trainings are paired by their seeds: what a seed does to all policies is no noise between them.
    both = ~np.isnan(rewards).any(axis=1)
    rewards = rewards - (rewards[both].mean(axis=0) - rewards[both].mean())
    variance = rewards[both].var(axis=1, ddof=1).mean()
    target = np.nanmean(rewards, axis=1)
    noise = variance / (~np.isnan(rewards)).sum(axis=1)
    mean, spread = target.mean(), target.var()
    y = target - mean
    grid = {length: alike(op, magnitude, length) for length in (0.15, 0.25, 0.4, 0.7, 1.2)}

    def loss(logarithms, parts):
        *scales, reach = np.exp(logarithms)
        covariance = kernel(parts, np.array(scales) * spread, reach) + np.diag(noise)
        factor = cho_factor(covariance, lower=True)
        return 0.5 * y @ cho_solve(factor, y) + np.log(np.diag(factor[0])).sum()

    best = None
    for length, parts in grid.items():
        found = minimize(loss, np.log([0.3, 0.3, 0.3, 0.5]), args=(parts,), method="Nelder-Mead",
                         options={"maxfev": 120, "xatol": 0.05, "fatol": 0.05})
        print(f"length {length}: negative log likelihood {found.fun:.1f}, {np.exp(found.x).round(3)}", flush=True)
        if best is None or found.fun < best[0]:
            best = found.fun, length, np.exp(found.x)
    _, length, (*scales, reach) = best
    scales = np.array(scales) * spread
    covariance = kernel(grid[length], scales, reach)
    folds = np.random.default_rng(0).integers(10, size=len(y))
    predicted = np.zeros(len(y))
    for fold in range(10):
        left, kept = folds == fold, folds != fold
        factor = cho_factor(covariance[np.ix_(kept, kept)] + np.diag(noise[kept]), lower=True)
        predicted[left] = covariance[np.ix_(left, kept)] @ cho_solve(factor, y[kept])
    weights = cho_solve(cho_factor(covariance + np.diag(noise), lower=True), y)
    signal = spread - noise.mean()
    print(f"{len(y)} policies, {both.sum()} of them twice")
    print(f"deviation of a training {variance ** 0.5:.4f}, of mean rewards {spread ** 0.5:.4f}, "
          f"of policies without noise {max(signal, 0) ** 0.5:.4f}")
    print(f"correlation with rewards left out {np.corrcoef(predicted, y)[0, 1]:.3f}, at most "
          f"{max(signal / spread, 0) ** 0.5:.3f} with so much noise")
    print(f"deviation of the function over these policies {(covariance @ weights).std():.4f}")
    content = {
        "ops": ops,
        "sequences": op.shape[1] // 2,
        "mean": mean,
        "noise": (variance / SAMPLES) ** 0.5,
        "lowest": lowest,
        "length": length,
        "scales": list(scales),
        "reach": reach,
        "policies": [[[int(a), round(float(m), 4)] for a, m in zip(*policy)] for policy in zip(op, magnitude)],
        "weights": [float(f"{weight:.8g}") for weight in weights],
    }
    with open(to, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=9, mtime=0) as packed:
        packed.write(json.dumps(content, separators=(",", ":")).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    tabulated = commands.add_parser("table")
    tabulated.add_argument("notebooks", nargs="+")
    tabulated.add_argument("to")
    fitted = commands.add_parser("fit")
    fitted.add_argument("table")
    fitted.add_argument("to")
    fitted.add_argument("--lowest", type=float)
    arguments = parser.parse_args()
    if arguments.command == "table":
        table(arguments.notebooks, arguments.to)
    else:
        fit(arguments.table, arguments.to, arguments.lowest)


if __name__ == "__main__":
    main()
