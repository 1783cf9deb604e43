#!/usr/bin/env python3
"""Measures images a second of PyTorch's data loader with published policies: deepaug's package beside torchvision.

    python loader_speed.py --workers 2

Images are u8 RGB in memory. torchvision gets tensors, where it is fastest; deepaug gets arrays, one by one in the workers or
batch by batch in their collate function. Ways alternate in each round, each with a loader of its own; the best round counts.
"""

import argparse
import json
import time

import deepaug
import numpy as np
import torch
from torchvision.transforms import v2

POLICIES = {
    "trivialaugment": lambda: v2.TrivialAugmentWide(),
    "randaugment-2-9": lambda: v2.RandAugment(2, 9),
    "autoaugment-cifar10": lambda: v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
}


class Images(torch.utils.data.Dataset):
    def __init__(self, images, transform):
        self.images, self.transform = images, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index])


class Batch:
    """Stacks images and augments them at once."""

    def __init__(self, policy):
        self.policy = policy

    def __call__(self, images):
        return torch.from_numpy(self.policy(np.stack(images)))


def same(image):
    return image


def rate(loader, images):
    start = time.perf_counter()
    seen = sum(len(batch) for batch in loader)
    assert seen == images
    return seen / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for side, count in ((32, 20_000), (224, 2_000)):
        arrays = np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        tensors = torch.from_numpy(arrays.transpose(0, 3, 1, 2).copy())
        for name, torchvision in POLICIES.items():
            policy = deepaug.Policy.published(name)
            ways = {
                "no augmentation": (arrays, same, None),
                "torchvision": (tensors, torchvision(), None),
                "deepaug": (arrays, policy, None),
                "deepaug in collate": (arrays, same, Batch(policy)),
            }
            best = dict.fromkeys(ways, 0.0)
            for _ in range(arguments.rounds):
                for way, (images, transform, collate) in ways.items():
                    data = Images(images, transform)
                    loader = torch.utils.data.DataLoader(
                        data, batch_size=128, num_workers=arguments.workers, collate_fn=collate
                    )
                    best[way] = max(best[way], rate(loader, count))
            found.append({"policy": name, "size": side, "workers": arguments.workers, **best})
            if not arguments.json:
                speeds = ", ".join(f"{way} {speed:,.0f}" for way, speed in best.items())
                ratio = best["deepaug in collate"] / best["torchvision"]
                print(f"{side} x {side}, {name}: {speeds}: {best['deepaug'] / best['torchvision']:.1f}, {ratio:.1f} times")
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
