#!/usr/bin/env python3
"""Your own PyTorch training as the child of a deepaug search: see README.md beside this file.

It is started once for each training, reads its request from standard input, and prints a line of JSON for each epoch.
"""

import json
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def model(channels, classes):
    """Put your own net here."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes),
    )


def load(request, part, device):
    """Images as floats in [0, 1], channels first, and their labels."""
    images = torch.from_numpy(np.load(request[f"{part}_images"])).permute(0, 3, 1, 2).float() / 255
    return images.to(device), torch.from_numpy(np.load(request[f"{part}_labels"])).to(device)


def endless(count, generator):
    """One shuffled pass after another, so that every image is used equally often."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


@torch.no_grad()
def evaluate(net, images, labels):
    net.eval()
    scores = torch.cat([net(batch) for batch in images.split(500)])
    return (scores.argmax(1) == labels).sum().item() / len(labels), F.cross_entropy(scores, labels).item()


def main():
    request = json.loads(sys.stdin.readline())
    if request["format"] != 1:
        sys.exit(f"train.py knows format 1 of deepaug's requests, not {request['format']}")
    torch.manual_seed(request["seed"])
    order = torch.Generator().manual_seed(request["seed"])
    device = "cuda" if torch.cuda.is_available() else "cpu"

    originals, copies = load(request, "train", device), load(request, "augmented", device)
    images, labels = (torch.cat(pair) for pair in zip(originals, copies))
    validation = load(request, "validation", device)

    # The same number of images per epoch for every policy, so that none wins by training longer.
    batch = request["batch_size"]
    steps = -(-(request["images_per_epoch"] or len(images)) // batch)
    indices = endless(len(images), order)

    net = model(images.shape[1], request["classes"]).to(device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps * request["epochs"])

    for epoch in range(1, request["epochs"] + 1):
        net.train()
        right, losses = 0, 0.0
        for _ in range(steps):
            chosen = torch.tensor([next(indices) for _ in range(batch)], device=device)
            scores = net(images[chosen])
            loss = F.cross_entropy(scores, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            right += (scores.argmax(1) == labels[chosen]).sum().item()
            losses += loss.item()
        val_acc, val_loss = evaluate(net, *validation)
        record = {"epoch": epoch, "acc": right / (steps * batch), "loss": losses / steps}
        print(json.dumps(record | {"val_acc": val_acc, "val_loss": val_loss}), flush=True)


if __name__ == "__main__":
    main()
