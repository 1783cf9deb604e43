#!/usr/bin/env python3
"""Does the answer of a search help a net of PyTorch's? Trains a small ResNet with it and with what needs no search.

    pip install torch torchvision pyarrow pillow numpy scipy
    python3 transfer.py part DATA FOLDER                 FOLDER/train.parquet and FOLDER/test.parquet
    deepaug optimize --data FOLDER/train.parquet --out STUDY
    deepaug export --policy STUDY --to torchvision --out policy.py
    python3 transfer.py train FOLDER --policy policy.py --size 32 --epochs 100 --seeds 10

DATA is a folder of Hugging Face parquet files (columns image or img, and label); where it has no test file, a fifth of each class is put
aside. The search reads train.parquet only. `train` prints accuracies on the test images after the last epoch, and what the
answer gains over each of the others, paired by seed (95 %, Student's t). Free schemes are torchvision's own transforms.
"""

import argparse
import glob
import importlib.util
import io
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from scipy import stats
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2


def part(data, folder):
    os.makedirs(folder, exist_ok=True)
    train = pa.concat_tables(pq.read_table(path) for path in sorted(glob.glob(f"{data}/*train*.parquet")))
    tests = sorted(glob.glob(f"{data}/*test*.parquet"))
    if tests:
        test = pa.concat_tables(pq.read_table(path) for path in tests)
    else:
        labels = np.array(train["label"])
        rng = np.random.default_rng(0)
        aside = np.concatenate([
            rng.permutation(np.flatnonzero(labels == c))[: np.count_nonzero(labels == c) // 5] for c in np.unique(labels)
        ])
        chosen = np.isin(np.arange(len(labels)), aside)
        train, test = train.filter(pa.array(~chosen)), train.filter(pa.array(chosen))
    pq.write_table(train, f"{folder}/train.parquet")
    pq.write_table(test, f"{folder}/test.parquet")
    print(f"{len(train)} images to train on, {len(test)} to test")


def read(path, size, most):
    table = pq.read_table(path)
    column = "image" if "image" in table.column_names else "img"
    labels = np.array(table["label"])
    order = np.random.default_rng(0).permutation(len(labels))[:most]
    images = []
    for i in order:
        image = Image.open(io.BytesIO(table[column][int(i)].as_py()["bytes"]))
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
        images.append(torch.from_numpy(np.array(image.resize((size, size), Image.Resampling.BILINEAR))))
    images = torch.stack(images)
    images = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(labels[order]).long()


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.convolutions(x) + self.shortcut(x))


def resnet(channels, classes):
    """ResNet-8: a convolution, three residual blocks, 78,000 weights; as in He et al. 2016, section 4.2, with n = 1."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes),
    )


def train(x, y, test_x, test_y, augment, epochs, seed):
    torch.manual_seed(seed)
    scale = [float(v) for v in ((x.float() / 255).mean(), (x.float() / 255).std())]
    as_input = lambda images: (images.float() / 255 - scale[0]) / scale[1]
    model = resnet(x.shape[1], int(y.max()) + 1)
    optimiser = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    batch = 32
    steps = -(-len(x) // batch) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.05, steps, pct_start=0.1)
    for _ in range(epochs):
        model.train()
        for indices in torch.randperm(len(x)).split(batch):
            images = torch.stack([augment(image) for image in x[indices]])
            loss = F.cross_entropy(model(as_input(images)), y[indices])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(as_input(images)) for images in test_x.split(500)])
    return (logits.argmax(1) == test_y).double().mean().item()


def schemes(policy, size):
    spec = importlib.util.spec_from_file_location("policy", policy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        "none": lambda image: image,
        "flip-crop": v2.Compose([v2.RandomCrop(size, padding=size // 8), v2.RandomHorizontalFlip()]),
        "trivialaugment": v2.TrivialAugmentWide(),
        "randaugment-1-5": v2.RandAugment(1, 5),
        "randaugment-2-9": v2.RandAugment(2, 9),
        "the answer": module.DeepaugPolicy(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    parting = verbs.add_parser("part")
    parting.add_argument("data")
    parting.add_argument("folder")
    training = verbs.add_parser("train")
    training.add_argument("folder")
    training.add_argument("--policy", required=True)
    training.add_argument("--size", type=int, default=32)
    training.add_argument("--epochs", type=int, default=100)
    training.add_argument("--seeds", type=int, default=10)
    training.add_argument("--train", type=int, default=1000, help="images to train on, at most")
    training.add_argument("--test", type=int, default=2000, help="images to test on, at most")
    arguments = parser.parse_args()
    if arguments.verb == "part":
        return part(arguments.data, arguments.folder)
    x, y = read(f"{arguments.folder}/train.parquet", arguments.size, arguments.train)
    test_x, test_y = read(f"{arguments.folder}/test.parquet", arguments.size, arguments.test)
    print(f"{len(x)} images to train on, {len(test_x)} to test, {arguments.epochs} epochs", flush=True)
    accuracies = {}
    chosen = schemes(arguments.policy, arguments.size)
    for name, augment in chosen.items():
        runs = [train(x, y, test_x, test_y, augment, arguments.epochs, seed) for seed in range(arguments.seeds)]
        accuracies[name] = 100 * np.array(runs)
        print(f"{name}: {accuracies[name].mean():.2f} ({', '.join(f'{a:.1f}' for a in accuracies[name])})", flush=True)
    for name, others in accuracies.items():
        gain = accuracies["the answer"] - others
        if name != "the answer" and len(gain) > 1:
            half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
            print(f"the answer over {name}: {gain.mean():+.2f} ({gain.mean() - half:+.2f} to {gain.mean() + half:+.2f})")


if __name__ == "__main__":
    sys.exit(main())
