#!/usr/bin/env python3
"""Trains DeepAugment's basic CNN in PyTorch, without augmentation, as an independent check of our child's accuracy.

    pip install torch pyarrow pillow
    python3 torch_basiccnn.py DATA --train 1000 --validation 1000 --images-per-epoch 2000 --epochs 10 --seeds 3

DATA is a folder of MNIST IDX files (.gz) or of Hugging Face parquet files. Same layers, first weights, optimiser,
batch size and number of steps as the Rust child; other random numbers and another split, so that means over seeds are
what can be compared.
"""

import argparse
import glob
import gzip
import io
import json
import struct

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def read(folder):
    parquet = glob.glob(f"{folder}/*train*.parquet")
    if parquet:
        import pyarrow.parquet as pq
        from PIL import Image
        table = pq.read_table(parquet[0]).to_pydict()
        column = next(name for name in table if name != "label")
        images = np.stack([np.array(Image.open(io.BytesIO(cell["bytes"]))) for cell in table[column]])
        return images, np.array(table["label"])
    images = gzip.open(f"{folder}/train-images-idx3-ubyte.gz").read()
    labels = gzip.open(f"{folder}/train-labels-idx1-ubyte.gz").read()
    _, count, height, width = struct.unpack(">4I", images[:16])
    return (np.frombuffer(images, np.uint8, offset=16).reshape(count, height, width, 1),
            np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))


class BasicCnn(nn.Module):
    def __init__(self, side, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv4 = nn.Conv2d(64, 64, 3)
        self.hidden = nn.Linear(64 * (((side - 2) // 2 - 2) // 2) ** 2, 512)
        self.output = nn.Linear(512, classes)
        for layer in self.children():
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = F.dropout(F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2), 0.6, self.training)
        x = F.dropout(F.max_pool2d(F.relu(self.conv4(F.relu(self.conv3(x)))), 2), 0.6, self.training)
        return self.output(F.dropout(F.relu(self.hidden(x.flatten(1))), 0.5, self.training))


def draw(labels, per_class, rng):
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:sum(per_class)] for c in range(labels.max() + 1)]
    return (np.concatenate([c[:per_class[0]] for c in chosen]), np.concatenate([c[per_class[0]:] for c in chosen]))


def train(x, y, vx, vy, arguments, seed):
    torch.manual_seed(seed)
    model = BasicCnn(x.shape[2], x.shape[1], int(y.max()) + 1)
    optimiser = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
    # Keras's decay: the rate is divided by 1 + 1e-6 a step.
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 / (1 + 1e-6 * step))
    stream, history = torch.empty(0, dtype=torch.long), []
    for _ in range(arguments.epochs):
        model.train()
        hits = seen = 0
        for _ in range(-(-arguments.images_per_epoch // arguments.batch)):
            while len(stream) < arguments.batch:
                stream = torch.cat([stream, torch.randperm(len(x))])
            batch, stream = stream[:arguments.batch], stream[arguments.batch:]
            logits = model(x[batch])
            optimiser.zero_grad()
            F.cross_entropy(logits, y[batch]).backward()
            optimiser.step()
            schedule.step()
            hits += (logits.argmax(1) == y[batch]).sum().item()
            seen += len(batch)
        model.eval()
        with torch.no_grad():
            valid = torch.cat([model(part).argmax(1) for part in vx.split(200)])
        history.append((hits / seen, (valid == vy).float().mean().item()))
    return history


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    for name, default in [("train", 1000), ("validation", 1000), ("images-per-epoch", 2000), ("epochs", 10),
                          ("batch", 64), ("seeds", 3), ("k", 3)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    images, labels = read(arguments.data)
    classes = int(labels.max()) + 1
    rewards = []
    for seed in range(arguments.seeds):
        a, b = draw(labels, (arguments.train // classes, arguments.validation // classes), np.random.default_rng(seed))
        tensor = lambda index: torch.from_numpy(images[index].astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()
        history = train(tensor(a), torch.from_numpy(labels[a]), tensor(b), torch.from_numpy(labels[b]), arguments, seed)
        best = sorted((v for _, v in history), reverse=True)[:arguments.k]
        kept = sorted((v for t, v in history if t - v <= 0.10), reverse=True)[:arguments.k]
        rewards.append((float(np.mean(kept)) if kept else None, float(np.mean(best))))
        print(json.dumps({"seed": seed, "reward": rewards[-1][0], "top_k_val_acc": rewards[-1][1],
                          "val_acc": [round(v, 4) for _, v in history]}), flush=True)
    values = np.array([top for _, top in rewards])
    print(json.dumps({"torch": torch.__version__, "top_k_val_acc_mean": values.mean(), "sd": values.std(ddof=1)}))


if __name__ == "__main__":
    main()
