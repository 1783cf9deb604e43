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
    """A byte for the kind, which DEEPAUG_FUZZ names, and one for where the second file begins; none for pictures, and
    options for layouts."""
    folder = HERE / "corpus" / corpus
    folder.mkdir(parents=True, exist_ok=True)
    head = {"image": b"", "layout": bytes([0])}.get(corpus, bytes([0, cut]))
    (folder / name).write_bytes(head + content)


for corpus, files in CORPORA.items():
    for file in files:
        seed(corpus, file.name, file.read_bytes())
images, labels = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6]), bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1])
seed("idx", "two", images + labels, len(images))
seed("cifar", "three", b"one\ntwo\n" + (SETS / "cifar-10-batches-bin/data_batch_1.bin").read_bytes(), 8)
labels, images = (SETS / "arrays/y_train.npy").read_bytes(), (SETS / "arrays/x_train.npy").read_bytes()
assert len(labels) % 2 == 0
seed("npy", "four", labels + images, len(labels) // 2)

# Layouts: see fuzz_targets/layout.rs for the words and kinds.
WORDS = "train test val valid validation training_set Testing train_images test_images images labels".split()
KINDS = "png PNG  jpg csv tsv txt jsonl json".split(" ")


def file(path, kind, content=None):
    """A file of a layout; words that are not in the list are left to the fuzzer."""
    words = [WORDS.index(word) for word in path.split("/")]
    entry = bytes([len(words) - 1, *words, KINDS.index(kind)])
    return entry if content is None else entry + bytes([len(content)]) + content


pictures = file("images/train", "png") + file("images/test", "png") + file("images/val", "png")
seed("layout", "folders", file("train/images", "png") + file("test/images", "png") + file("test/labels", "png"))
seed("layout", "table", pictures + file("labels", "csv", b"file,label,fold\nimages/train.png,a,0\nimages/test,b,1\n"))
seed("layout", "lines", pictures + file("images/labels", "jsonl", b'{"file_name":"train.png","label":1}\n{"file_name":"val.png","label":0}\n'))
