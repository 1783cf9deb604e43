#!/usr/bin/env python3
"""Copies the tests' fixtures into the corpora that fuzzing starts from."""

from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "crates/dataset/tests/fixtures"
SETS = FIXTURES / "sets"
CORPORA = {
    "image": list((FIXTURES / "kinds").iterdir()),
    "npz": list(SETS.glob("*.npz")),
    "parquet": [*SETS.glob("*.parquet"), *FIXTURES.glob("*.parquet")],
    "tar": [*SETS.glob("*.tar"), *SETS.glob("shards/*.tar")],
    "csv": list(SETS.glob("table/*.csv")),
}


def seed(corpus, name, content, cut=0):
    """A byte for the kind, which DEEPAUG_FUZZ names, and one for where the second file begins; none for pictures."""
    folder = HERE / "corpus" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if corpus == "image" else bytes([0, cut]) + content)


for corpus, files in CORPORA.items():
    for file in files:
        seed(corpus, file.name, file.read_bytes())
images, labels = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6]), bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1])
seed("idx", "two", images + labels, len(images))
seed("cifar", "three", b"one\ntwo\n" + (SETS / "cifar-10-batches-bin/data_batch_1.bin").read_bytes(), 8)
labels, images = (SETS / "arrays/y_train.npy").read_bytes(), (SETS / "arrays/x_train.npy").read_bytes()
assert len(labels) % 2 == 0
seed("npy", "four", labels + images, len(labels) // 2)
