#!/usr/bin/env python3
"""Trains a child net in PyTorch, without augmentation, as an independent check of our child's accuracy.

    pip install torch pyarrow pillow
    python3 torch_accuracy.py DATA --train 1000 --validation 1000 --images-per-epoch 2000 --epochs 10 --seeds 3
    python3 torch_accuracy.py --data DATA --model wrn_16_2 --threads 2 --output histories.jsonl

DATA is a folder of MNIST IDX files (.gz) or of Hugging Face parquet files. Same layers, first weights, optimiser,
batch size and number of steps as the Rust child; other random numbers and another split, so that means over seeds are
what can be compared. Of each seed it prints the reward (the mean of the K highest validation accuracies among epochs
that do not overfit), the mean of the K highest whether overfitting or not, the last one, and the mean of the last
epochs; --output takes the whole histories.
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

import nets


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


def draw(labels, per_class, rng):
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:sum(per_class)] for c in range(labels.max() + 1)]
    return (np.concatenate([c[:per_class[0]] for c in chosen]), np.concatenate([c[per_class[0]:] for c in chosen]))


def optimiser(name, model):
    """The optimiser and the schedule of its rate."""
    if name == "basiccnn":
        chosen = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
        # Keras's decay: the rate is divided by 1 + 1e-6 a step.
        return chosen, torch.optim.lr_scheduler.LambdaLR(chosen, lambda step: 1 / (1 + 1e-6 * step))
    chosen = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    return chosen, torch.optim.lr_scheduler.LambdaLR(chosen, lambda step: 1)


def train(x, y, vx, vy, arguments, seed):
    torch.manual_seed(seed)
    model = nets.make(arguments.model, x.shape[2], x.shape[1], int(y.max()) + 1)
    optimise, schedule = optimiser(arguments.model, model)
    stream, history = torch.empty(0, dtype=torch.long), []
    for epoch in range(arguments.epochs):
        model.train()
        hits = seen = total = 0
        for _ in range(-(-arguments.images_per_epoch // arguments.batch)):
            while len(stream) < arguments.batch:
                stream = torch.cat([stream, torch.randperm(len(x))])
            batch, stream = stream[:arguments.batch], stream[arguments.batch:]
            logits = model(x[batch])
            optimise.zero_grad()
            loss = F.cross_entropy(logits, y[batch])
            loss.backward()
            if arguments.model == "wrn_16_2":
                # Keras's clipnorm: each tensor by itself.
                for parameter in model.parameters():
                    nn.utils.clip_grad_norm_([parameter], 1.0)
            optimise.step()
            schedule.step()
            hits += (logits.argmax(1) == y[batch]).sum().item()
            total += loss.item() * len(batch)
            seen += len(batch)
        model.eval()
        with torch.no_grad():
            logits = torch.cat([model(part) for part in vx.split(200)])
        history.append({"epoch": epoch + 1, "train_acc": hits / seen, "train_loss": total / seen,
                        "val_acc": (logits.argmax(1) == vy).float().mean().item(),
                        "val_loss": F.cross_entropy(logits, vy).item()})
    return history


def mean_and_sd(values):
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", metavar="DATA")
    parser.add_argument("--data", help="the same")
    parser.add_argument("--model", choices=["basiccnn", "simplecnn", "wrn_16_2"], default="basiccnn")
    for name, default in [("train", 1000), ("validation", 1000), ("images-per-epoch", 2000), ("epochs", 10),
                          ("batch", 64), ("seeds", 3), ("k", 3), ("last", 5)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, help="PyTorch's own choice unless given")
    parser.add_argument("--output", help="a file to which one line of JSON is added per seed, with every epoch")
    arguments = parser.parse_args()
    folder = arguments.data or arguments.folder or parser.error("which DATA?")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    images, labels = read(folder)
    classes = int(labels.max()) + 1
    finished = []
    for seed in range(arguments.seeds):
        a, b = draw(labels, (arguments.train // classes, arguments.validation // classes), np.random.default_rng(seed))
        tensor = lambda index: torch.from_numpy(images[index].astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()
        history = train(tensor(a), torch.from_numpy(labels[a]), tensor(b), torch.from_numpy(labels[b]), arguments, seed)
        values = [epoch["val_acc"] for epoch in history]
        best = sorted(values, reverse=True)[:arguments.k]
        kept = sorted((e["val_acc"] for e in history if e["train_acc"] - e["val_acc"] <= 0.10),
                      reverse=True)[:arguments.k]
        line = {"seed": seed, "reward": float(np.mean(kept)) if kept else None, "top_k_val_acc": float(np.mean(best)),
                "final_val_acc": values[-1], "last_val_acc": float(np.mean(values[-arguments.last:]))}
        finished.append(line)
        print(json.dumps({**line, "val_acc": [round(v, 4) for v in values]}), flush=True)
        if arguments.output:
            with open(arguments.output, "a") as file:
                settings = {name: getattr(arguments, name) for name in
                            ("model", "train", "validation", "images_per_epoch", "epochs", "batch", "k", "last")}
                print(json.dumps({"torch": torch.__version__, **settings, **line, "history": history}), file=file)
    tops, sd = mean_and_sd([line["top_k_val_acc"] for line in finished])
    finals, finals_sd = mean_and_sd([line["final_val_acc"] for line in finished])
    lasts, lasts_sd = mean_and_sd([line["last_val_acc"] for line in finished])
    print(json.dumps({"torch": torch.__version__, "model": arguments.model, "top_k_val_acc_mean": tops, "sd": sd,
                      "final_val_acc_mean": finals, "final_sd": finals_sd, "last_val_acc_mean": lasts,
                      "last_sd": lasts_sd}))


if __name__ == "__main__":
    main()
