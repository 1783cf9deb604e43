"""Writes friedman.csv, a fixed data set, and prints the error of scikit-learn's forest on it.

Made with Python 3.11.7, numpy 2.4.6, scikit-learn 1.9.1. Columns 0 to 4 are uniform numbers with Friedman's first function,
column 5 is a category of eight with an effect without order, column 6 is noise, then the target. Rows 0 to 299 train, the rest
test. scikit-learn takes the category one-hot, as it has no native categories.
"""

from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestRegressor

rng = np.random.default_rng(20240501)
n = 600
x = rng.random((n, 5))
category = rng.integers(0, 8, n)
effect = np.array([6.0, -4.0, 1.0, 5.0, -6.0, 0.0, 3.0, -2.0])
noise = rng.random(n)
y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
y = y + effect[category] + rng.normal(0, 1, n)
table = np.round(np.column_stack([x, category, noise, y]), 6)
np.savetxt(Path(__file__).with_name("friedman.csv"), table, fmt="%.6g", delimiter=",")

features = np.column_stack([table[:, :5], np.eye(8)[table[:, 5].astype(int)], table[:, 6]])
target = table[:, 7]
for seed in range(5):
    forest = RandomForestRegressor(n_estimators=100, min_samples_leaf=3, max_features=5 / 6, random_state=seed)
    error = forest.fit(features[:300], target[:300]).predict(features[300:]) - target[300:]
    print(f"seed {seed}: root mean squared error {np.sqrt(np.mean(error**2)):.4f}")
print(f"predicting the mean: {np.std(target[300:]):.4f}")
