#!/usr/bin/env python3
"""Draws the embedded sample from Omniglot: the 40 letters of its Korean alphabet, 20 drawings each, 28 x 28 pixels.

    pip install pillow pyarrow
    python3 draw.py omniglot-korean.parquet .

The file has the drawings as images (column `image`) and the letters as numbers (column `label`). Of each letter 6 drawings, chosen
by a seed, are the test part. The archives carry no time stamp, so a second run writes the same bytes.
"""

import gzip
import io
import random
import struct
import sys
from pathlib import Path

import pyarrow.parquet
from PIL import Image

SIDE, TEST = 28, 6


def write(path, header, body):
    path.write_bytes(gzip.compress(header + body, compresslevel=9, mtime=0))


def main():
    table = pyarrow.parquet.read_table(sys.argv[1]).to_pylist()
    target = Path(sys.argv[2])
    generator = random.Random(20151211)
    letters = {}
    for row in table:
        image = Image.open(io.BytesIO(row["image"]["bytes"])).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
        letters.setdefault(row["label"], []).append(image.tobytes())
    parts = {"train": [], "t10k": []}
    for label, images in sorted(letters.items()):
        generator.shuffle(images)
        parts["t10k"] += [(label, image) for image in images[:TEST]]
        parts["train"] += [(label, image) for image in images[TEST:]]
    for part, rows in parts.items():
        generator.shuffle(rows)
        images, labels = b"".join(image for _, image in rows), bytes(label for label, _ in rows)
        write(target / f"{part}-images-idx3-ubyte.gz", struct.pack(">4I", 2051, len(rows), SIDE, SIDE), images)
        write(target / f"{part}-labels-idx1-ubyte.gz", struct.pack(">2I", 2049, len(rows)), labels)


if __name__ == "__main__":
    main()
