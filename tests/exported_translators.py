"""Compares the translations of a generated PyTorch module with ours, on the same images.

    python exported_translators.py FOLDER

`crates/generative/tests/pytorch.rs` writes the folder and runs this: `translators.py` with its weights, and `images.bin`, which
holds images, their translations into the first subgroup, and those into the second.
"""

import pathlib
import sys

import numpy as np
import torch

FOLDER = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(FOLDER))
import translators  # noqa: E402

torch.set_num_threads(2)
images, *expected = np.fromfile(FOLDER / "images.bin", np.uint8).reshape(3, -1, *translators.SHAPE)
nets = translators.load()
for into, ours in zip(translators.SUBGROUPS, expected):
    theirs = translators.translate(nets, torch.from_numpy(images), into).numpy()
    change = np.abs(ours.astype(int) - images).mean()
    apart = np.abs(ours.astype(int) - theirs)
    print(f"into {into}: at most {apart.max()} levels apart, where images change by {change:.1f} on average")
    if apart.max() > 1 or change < 0.5:
        sys.exit("too far apart, or nothing changed")
always = translators.Translated()(torch.from_numpy(images[0]).permute(2, 0, 1))
assert always.dtype == torch.uint8 and always.shape == (translators.SHAPE[2], *translators.SHAPE[:2])
