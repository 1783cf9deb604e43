#!/usr/bin/env python3
"""Draws the embedded sample from Fashion-MNIST: 400 training and 100 test images a class.

    apt-get install dataset-fashion-mnist
    python3 draw.py /usr/share/datasets/fashion-mnist .

The choice is seeded and the archives carry no time stamp, so a second run writes the same bytes.
"""

import gzip
import random
import struct
import sys
from pathlib import Path


def read(folder, part):
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    _, count, height, width = struct.unpack(">4I", images[:16])
    size = height * width
    return [images[16 + i * size:16 + (i + 1) * size] for i in range(count)], list(labels[8:]), height, width


def write(path, header, body):
    path.write_bytes(gzip.compress(header + body, compresslevel=9, mtime=0))


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    generator = random.Random(20170825)
    for part, per_class in (("train", 400), ("t10k", 100)):
        images, labels, height, width = read(source, part)
        chosen = []
        for label in range(10):
            chosen += generator.sample([i for i, l in enumerate(labels) if l == label], per_class)
        chosen.sort()
        write(target / f"{part}-images-idx3-ubyte.gz",
              struct.pack(">4I", 2051, len(chosen), height, width), b"".join(images[i] for i in chosen))
        write(target / f"{part}-labels-idx1-ubyte.gz",
              struct.pack(">2I", 2049, len(chosen)), bytes(labels[i] for i in chosen))


if __name__ == "__main__":
    main()
