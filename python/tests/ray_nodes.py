"""A study on two nodes of Ray, of which actors and one node die: run by test_ray.py, in a network of its own."""

import csv
import sys
import threading
import time

import ray
from ray.cluster_utils import Cluster

import deepaug
from deepaug.ray import RayExecutor

KEYS = {
    "data": "fashion-mnist-sample",
    "model": "tinycnn",
    "device": "cpu",
    "iters": 10,
    "child_epochs": 10,
    "opt_samples": 1,
    "opt_initial_points": 2,
    "train_set_size": 300,
    "validation_set_size": 100,
    "confirm_policies": 1,
    "confirm_samples": 2,
    "workers": 3,
}


def rows(study):
    with open(study.path / "notebook.csv", newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def main(folder):
    config = deepaug.Config("default", **KEYS)
    here = deepaug.optimize(config=config, study=f"{folder}/here", progress=False)
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False)
    executor = RayExecutor(actors=2)
    repeated = []

    def hear(study, event):
        if event.kind == "training_repeated":
            repeated.append(event)

    def disturb():
        time.sleep(3)
        ray.kill(executor.actors[0], no_restart=False)
        time.sleep(2)
        cluster.add_node(**node)
        cluster.remove_node(second, allow_graceful=False)

    threading.Thread(target=disturb, daemon=True).start()
    apart = deepaug.optimize(
        config=config, study=f"{folder}/apart", executor=executor, callbacks=[hear], progress=False
    )
    assert rows(apart) == rows(here)
    assert repeated, "nothing died while it trained"
    print("equal,", len(repeated), "repeated")
    executor.close()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
