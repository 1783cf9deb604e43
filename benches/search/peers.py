"""The same searches by other optimisers: scikit-optimize, SMAC3, Optuna.

    PYTHONHASHSEED=0 python benches/search/peers.py --binary PATH --method skopt --function policies --seeds 0 20 >> peers.csv

(Without the variable SMAC3 gives another result each time: it orders points by their hashes.)

Functions and noise come from the benchmark's own program, so every method minimises the same thing. Each optimiser runs with
its defaults; what is judged is what it recommends itself. A row is a recommendation after that many evaluations, as in
`deepaug-search-bench run`.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import numpy as np


class Function:
    """An instance of a family, served by the benchmark's program."""

    def __init__(self, binary, name, seed):
        self.program = subprocess.Popen([binary, "serve", name, str(seed)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.space = json.loads(self.program.stdout.readline())

    def _ask(self, what, values):
        self.program.stdin.write(f"{what} {' '.join(map(repr, values))}\n")
        self.program.stdin.flush()
        return float(self.program.stdout.readline())

    def measure(self, values):
        return self._ask("measure", values)

    def regret(self, values):
        return self._ask("regret", values)

    def close(self):
        self.program.stdin.close()
        self.program.wait()


def split(parameter):
    (kind, domain), = parameter["domain"].items()
    return kind, domain


def plain(value):
    """Numbers as Python's own, so that they print as numbers."""
    return value.item() if isinstance(value, np.generic) else value


def lean_scikit_optimize():
    """scikit-optimize spends most of its time on scikit-learn's copies and checks of a hundred trees, and on turning 10,000
    candidates into numbers, in Python. The same numbers, four times as fast; each is compared with the original's once a run. Not
    used with --stock."""
    import skopt.space.space
    from sklearn.tree._classes import CRITERIA_REG, DENSE_SPLITTERS
    from sklearn.tree._tree import DepthFirstTreeBuilder, Tree
    from skopt.learning import RandomForestRegressor
    from skopt.space import Categorical, Space

    class Grown:
        def __init__(self, tree):
            self.tree_ = tree

    def grow(forest, X, y):
        rows, columns = X.shape
        most = np.iinfo(np.int32).max
        seeds, trees = np.random.RandomState(forest.random_state), []
        for _ in range(forest.n_estimators):
            seed = seeds.randint(most)
            drawn = np.random.RandomState(seed).randint(0, rows, rows)
            weights = np.bincount(drawn, minlength=rows).astype(float)
            splitter = DENSE_SPLITTERS["best"](CRITERIA_REG[forest.criterion](1, rows), columns, forest.min_samples_leaf, 0.0,
                                               np.random.RandomState(seed), None)
            tree = Tree(columns, np.array([1], dtype=np.intp), 1)
            split_from = max(forest.min_samples_split, 2 * forest.min_samples_leaf)
            DepthFirstTreeBuilder(splitter, split_from, forest.min_samples_leaf, 0.0, most, 0.0).build(
                tree, X, y, weights, None)
            trees.append(Grown(tree))
        return trees

    def fit(self, X, y):
        single, column = np.ascontiguousarray(X, dtype=np.float32), np.ascontiguousarray(y, dtype=float)[:, None]
        trees = grow(self, single, column)
        if "fit" in unchecked:
            unchecked.remove("fit")
            assert (self.max_features, self.max_depth, self.max_leaf_nodes, self.bootstrap) == (None, None, None, True)
            stock_fit(self, X, y)
            for ours, theirs in zip(trees, self.estimators_, strict=True):
                assert np.array_equal(ours.tree_.value, theirs.tree_.value)
                assert np.array_equal(ours.tree_.threshold, theirs.tree_.threshold)
            return self
        self.estimators_ = trees
        return self

    stock_fit, stock_predict, stock_transform = RandomForestRegressor.fit, RandomForestRegressor.predict, Space.transform
    unchecked = {"fit", "predict", "transform"}

    def predict(self, X, return_std=False):
        if not return_std:
            return stock_predict(self, X)
        single = np.ascontiguousarray(X, dtype=np.float32)
        mean, square = np.zeros(len(X)), np.zeros(len(X))
        for tree in self.estimators_:
            leaves = tree.tree_.apply(single)
            leaf = tree.tree_.value[:, 0, 0][leaves]
            mean += leaf
            square += np.maximum(tree.tree_.impurity[leaves], self.min_variance) + leaf ** 2
        mean /= len(self.estimators_)
        std = np.sqrt(np.maximum(square / len(self.estimators_) - mean ** 2, 0.0))
        if "predict" in unchecked:
            unchecked.remove("predict")
            for ours, theirs in zip((mean, std), stock_predict(self, X, return_std=True)):
                assert np.allclose(ours, theirs, rtol=1e-6, atol=1e-9)
        return mean, std

    def transform(self, X):
        columns = []
        for dimension, column in zip(self.dimensions, zip(*X)):
            if isinstance(dimension, Categorical):
                if not hasattr(dimension, "one_hot"):
                    one_hot = np.asarray(dimension.transform(list(dimension.categories)), dtype=float)
                    dimension.one_hot = one_hot
                    dimension.position = {category: row for row, category in enumerate(dimension.categories)}
                columns.append(dimension.one_hot[[dimension.position[value] for value in column]])
            else:
                columns.append(np.asarray(dimension.transform(list(column)), dtype=float)[:, None])
        transformed = np.hstack(columns)
        if "transform" in unchecked:
            unchecked.remove("transform")
            assert np.array_equal(transformed, stock_transform(self, X))
        return transformed

    RandomForestRegressor.fit, RandomForestRegressor.predict, Space.transform = fit, predict, transform
    skopt.space.space._transpose_list_array = lambda columns: [list(row) for row in zip(*columns)]


def lean_smac():
    """SMAC3 spends most of its time on starting threads, one a tree, and on looking up and comparing values of configurations.
    The same numbers with less of it, twice as fast; what is computed otherwise is compared with the original's once a run. Not
    used with --stock."""
    from ConfigSpace import CategoricalHyperparameter, Configuration
    from smac.model.random_forest.random_forest import EPMRandomForest

    stock_trees, stock_fit = EPMRandomForest.all_trees_pred, EPMRandomForest.fit
    stock_value, stock_equal = Configuration.__getitem__, Configuration.__eq__
    unchecked = {"trees", "equal"}

    def all_trees_pred(self, X):
        single = np.ascontiguousarray(np.atleast_2d(X), dtype=np.float32)
        predicted = np.empty((len(single), len(self.estimators_)))
        for number, tree in enumerate(self.estimators_):
            predicted[:, number] = tree.tree_.predict(single)[:, 0]
        if "trees" in unchecked:
            unchecked.remove("trees")
            assert np.array_equal(predicted, stock_trees(self, X))
        return predicted

    def fit(self, X, y, sample_weight=None):
        self.n_jobs = 1
        stock_fit(self, X, y, sample_weight)

    values, categories = {}, {}

    def value(self, name):
        if self._values is not None and name in self._values:
            return self._values[name]
        place = self.config_space.index_of.get(name)
        if place is None or not isinstance(self.config_space[name], CategoricalHyperparameter):
            return stock_value(self, name)
        found = values.get((id(self.config_space), place, self._vector[place]))
        if found is None:
            found = values[id(self.config_space), place, self._vector[place]] = stock_value(self, name)
        return found

    def equal(self, other):
        space = self.config_space
        if id(space) not in categories:
            categories[id(space)] = [space.index_of[name] for name, there in space.items()
                                     if isinstance(there, CategoricalHyperparameter)]
        if space is other.config_space:
            ours, theirs = (np.nan_to_num(config._vector[categories[id(space)]], nan=-1.0) for config in (self, other))
            if not np.array_equal(ours, theirs):
                if "equal" in unchecked:
                    unchecked.remove("equal")
                    assert not stock_equal(self, other)
                return False
        return stock_equal(self, other)

    EPMRandomForest.all_trees_pred, EPMRandomForest.fit = all_trees_pred, fit
    Configuration.__getitem__, Configuration.__eq__ = value, equal


class ScikitOptimize:
    """Random forest, expected improvement, 10 initial points: the engine of DeepAugment. Recommends the lowest cost seen."""

    def __init__(self, space, seed):
        from skopt import Optimizer
        from skopt.space import Categorical, Integer, Real

        dimensions = []
        for parameter in space:
            kind, domain = split(parameter)
            if kind == "categorical":
                dimensions.append(Categorical([str(k) for k in range(len(domain["choices"]))], name=parameter["name"]))
            else:
                dimensions.append({"real": Real, "integer": Integer}[kind](domain["low"], domain["high"],
                                                                            name=parameter["name"]))
        self.optimizer = Optimizer(dimensions, base_estimator="RF", acq_func="EI", n_initial_points=10,
                                   random_state=seed)

    def ask(self):
        self.point = self.optimizer.ask()
        return self.values(self.point)

    @staticmethod
    def values(point):
        return [int(value) if isinstance(value, str) else plain(value) for value in point]

    def tell(self, cost):
        self.optimizer.tell(self.point, cost)

    def recommend(self):
        best = int(np.argmin(self.optimizer.yi))
        return self.values(self.optimizer.Xi[best])


class Optuna:
    """TPE, as Optuna creates a study without arguments. Conditions are known to it: a parameter is suggested only where it
    is active. Recommends the best trial."""

    def __init__(self, space, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space = space
        self.study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

    def ask(self):
        self.trial = self.study.ask()
        values, active = [], []
        for parameter in self.space:
            kind, domain = split(parameter)
            condition = parameter.get("condition")
            active.append(condition is None
                          or active[condition["parent"]] and values[condition["parent"]] in condition["choices"])
            if not active[-1]:
                values.append(0 if kind == "categorical" else domain["low"])
            elif kind == "categorical":
                values.append(self.trial.suggest_categorical(parameter["name"], list(range(len(domain["choices"])))))
            else:
                suggest = {"real": self.trial.suggest_float, "integer": self.trial.suggest_int}[kind]
                values.append(suggest(parameter["name"], domain["low"], domain["high"]))
        self.trial.set_user_attr("values", values)
        return values

    def tell(self, cost):
        self.study.tell(self.trial, cost)

    def recommend(self):
        return self.study.best_trial.user_attrs["values"]


class Smac:
    """SMAC3's facade for hyperparameters (random forest, log-EI, up to three evaluations a configuration, which it chooses
    itself). Conditions are known to it. Recommends its incumbent."""

    def __init__(self, space, seed):
        import logging
        import tempfile
        from pathlib import Path

        from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer
        from smac import HyperparameterOptimizationFacade, Scenario

        self.space = space
        space_there = ConfigurationSpace(seed=seed)
        parameters = []
        for number, parameter in enumerate(space):
            kind, domain = split(parameter)
            name = f"p{number:02}"
            if kind == "categorical":
                parameters.append(Categorical(name, [str(k) for k in range(len(domain["choices"]))]))
            else:
                parameters.append({"real": Float, "integer": Integer}[kind](name, (domain["low"], domain["high"])))
        space_there.add(*parameters)
        for parameter, there in zip(space, parameters):
            if condition := parameter.get("condition"):
                parent = parameters[condition["parent"]]
                space_there.add(InCondition(there, parent, [str(k) for k in condition["choices"]]))
        scenario = Scenario(space_there, deterministic=False, n_trials=300, seed=seed,
                            output_directory=Path(tempfile.mkdtemp()))
        self.smac = HyperparameterOptimizationFacade(scenario, lambda config, seed=0: 0.0, overwrite=True,
                                                     logging_level=logging.ERROR)

    def values(self, config):
        values = []
        for number, parameter in enumerate(self.space):
            kind, domain = split(parameter)
            value = config.get(f"p{number:02}")
            if value is None:
                values.append(0 if kind == "categorical" else domain["low"])
            else:
                values.append(int(value) if kind == "categorical" else plain(value))
        return values

    def ask(self):
        self.info = self.smac.ask()
        return self.values(self.info.config)

    def tell(self, cost):
        from smac.runhistory.dataclasses import TrialValue

        self.smac.tell(self.info, TrialValue(cost=cost), save=False)

    def recommend(self):
        incumbents = self.smac.intensifier.get_incumbents()
        if not incumbents:
            history = self.smac.runhistory
            return self.values(min(history.get_configs(), key=history.average_cost))
        return self.values(min(incumbents, key=self.smac.runhistory.average_cost))


METHODS = {"skopt": ScikitOptimize, "optuna": Optuna, "smac": Smac}


def search(arguments, name, seed):
    function = Function(arguments.binary, name, seed)
    method = METHODS[arguments.method](function.space, seed)
    seconds = 0.0
    for evaluation in range(1, arguments.evaluations + 1):
        start = time.perf_counter()
        values = method.ask()
        seconds += time.perf_counter() - start
        cost = function.measure(values)
        start = time.perf_counter()
        method.tell(cost)
        seconds += time.perf_counter() - start
        if evaluation % 10 == 0:
            regret = function.regret(method.recommend())
            print(f"{name},{arguments.method},{seed},{evaluation},{regret:.6f},{seconds:.3f}", flush=True)
    function.close()


def speed(arguments, name):
    """Median milliseconds of scikit-optimize's ask and tell after random trials, as `deepaug-search-bench speed` prints."""
    function = Function(arguments.binary, name, 0)
    method = ScikitOptimize(function.space, 0)
    points = method.optimizer.space.rvs(arguments.speed, random_state=0)
    method.optimizer.tell(points, [function.measure(method.values(point)) for point in points])
    times = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        values = method.ask()
        seconds = time.perf_counter() - start
        cost = function.measure(values)
        start = time.perf_counter()
        method.tell(cost)
        times.append(seconds + time.perf_counter() - start)
    function.close()
    print(f"{name},skopt,{arguments.speed},{1e3 * np.median(times):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="deepaug-search-bench, built with --release")
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--function", nargs="+", required=True)
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 20), help="first, and one above the last")
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--stock", action="store_true", help="scikit-optimize and SMAC3 untouched, to measure their time")
    parser.add_argument("--speed", type=int, metavar="TRIALS", help="time scikit-optimize after so many trials instead")
    parser.add_argument("--repeats", type=int, default=10, help="asks timed with --speed")
    arguments = parser.parse_args()
    if arguments.speed:
        return speed(arguments, arguments.function[0])
    if not arguments.stock:
        {"skopt": lean_scikit_optimize, "smac": lean_smac}.get(arguments.method, lambda: None)()
    for name in arguments.function:
        for seed in range(*arguments.seeds):
            print(f"{name} {seed}", file=sys.stderr)
            search(arguments, name, seed)


if __name__ == "__main__":
    main()
