#!/usr/bin/env python3
"""Measures images per second from a folder of class folders to u8 arrays of one size: by Pillow, by torchvision, and by
deepaug.

    python3 -m venv env && env/bin/pip install torch torchvision pillow numpy
    cargo build --release --example read_speed
    env/bin/python benches/peers/read_speed.py --deepaug target/release/examples/read_speed --folder /tmp/read-speed

Three folders are made first: photographs of 500 x 375 pixels as JPEG of quality 90, brought to 64 x 64, and pictures of
32 x 32 as PNG and as JPEG, which keep their size. All take the central square and shrink it with a triangle filter as wide
as the reduction. Each peer works on as many threads as deepaug, or on as many processes (started before the clock), and the
faster of the two counts. Rounds alternate between the programs, and the best round of each counts. The files are in the
system's cache for all. "per_cpu_second" is images a second of processor time on one thread, which other work on the machine
changes less.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms.v2 import functional

sys.path.insert(0, str(Path(__file__).parent))
from ops_speed import pictures

FOLDERS = {"photos": ("jpg", 500, 375, 1000, 64), "png": ("png", 32, 32, 5000, 0), "jpeg": ("jpg", 32, 32, 5000, 0)}


def make(root):
    for name, (kind, width, height, count, _) in FOLDERS.items():
        if (root / name).exists():
            continue
        sources = pictures(max(width, height), 48)
        for i in range(count):
            folder = root / name / f"class-{i % 10}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.roll(sources[i % 48], 7 * i, axis=1)[:height, :width]
            Image.fromarray(pixels).save(folder / f"{i:05}.{kind}", quality=90)


def by_pillow(side, path):
    image = Image.open(path).convert("RGB")
    if side:
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        image = image.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + short, top + short))
    return np.asarray(image)


def by_torchvision(side, path):
    image = torchvision.io.decode_image(torchvision.io.read_file(path), torchvision.io.ImageReadMode.RGB)
    if side:
        image = functional.center_crop(image, [min(image.shape[1:])] * 2)
        image = functional.resize(image, [side, side], antialias=True)
    return image.permute(1, 2, 0).numpy()


def one_thread():
    torch.set_num_threads(1)


def peer(pool, read, side, files):
    start = time.perf_counter()
    chunk = {"chunksize": 64} if isinstance(pool, ProcessPoolExecutor) else {}
    images = np.stack(list(pool.map(partial(read, side), files, **chunk)))
    assert len(images) == len(files)
    return len(files) / (time.perf_counter() - start)


def deepaug(binary, folder, side, threads):
    """Images a second, and images a second of processor time, its start counted in the latter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([binary, folder, str(side), str(threads)], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(run.stdout)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return report["images_per_second"], report["images"] / spent


def one_by_one(read, side, files):
    """Images a second of processor time, in a plain loop."""
    start = time.process_time()
    np.stack([read(side, file) for file in files])
    return len(files) / (time.process_time() - start)


def rounded(speeds):
    return {key: round(speed) for key, speed in speeds.items()}


def ratio(speeds):
    """Of deepaug to the faster of the others."""
    return round(speeds["deepaug"] / max(speeds["pillow"], speeds["torchvision"]), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deepaug", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    make(arguments.folder)
    for threads in arguments.threads:
        pools = [ThreadPoolExecutor(threads), ProcessPoolExecutor(threads, initializer=one_thread)]
        for name, (*_, side) in FOLDERS.items():
            files = sorted(str(path) for path in (arguments.folder / name).rglob("*.*"))
            best = dict.fromkeys(("pillow", "torchvision", "deepaug"), 0)
            per_cpu = dict(best)
            for _ in range(arguments.rounds):
                for key, read in ("pillow", by_pillow), ("torchvision", by_torchvision):
                    best[key] = max(best[key], *(peer(pool, read, side, files) for pool in pools))
                    if threads == 1:
                        per_cpu[key] = max(per_cpu[key], one_by_one(read, side, files))
                speed, of_cpu = deepaug(arguments.deepaug, str(arguments.folder / name), side, threads)
                best["deepaug"], per_cpu["deepaug"] = max(best["deepaug"], speed), max(per_cpu["deepaug"], of_cpu)
            row = {"folder": name, "threads": threads, "per_second": rounded(best), "ratio": ratio(best)}
            if threads == 1:
                row.update(per_cpu_second=rounded(per_cpu), cpu_ratio=ratio(per_cpu))
            print(json.dumps(row) if arguments.json else row, flush=True)
        for pool in pools:
            pool.shutdown()
    print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}", file=sys.stderr)


if __name__ == "__main__":
    main()
