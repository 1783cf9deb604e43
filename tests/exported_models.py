"""Compares the logits of generated PyTorch modules with ours, on the same images.

    python exported_models.py FOLDER

`crates/child-model/tests/logits.rs` writes the folder and runs this. Where onnx, onnxscript and onnxruntime are
installed, each module also writes itself for ONNX, and ONNX Runtime's logits are compared.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import torch

warnings.simplefilter("ignore")
FOLDER = pathlib.Path(sys.argv[1])
TOLERANCE = 1e-4
# How far the logits of one class must spread over the images, so that equal ones mean something.
SPREAD = 100 * TOLERANCE
torch.set_num_threads(2)


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def onnx_logits(name, images):
    import onnxruntime

    file = FOLDER / f"{name}.onnx"
    made = subprocess.run([sys.executable, FOLDER / f"{name}.py", "--onnx", file], capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(made.stderr)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def main():
    has_onnx = all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript", "onnxruntime"))
    failures, spreads, worst = 0, [], {"PyTorch": 0.0, "ONNX Runtime": 0.0}
    for case in json.loads((FOLDER / "cases.json").read_text()):
        name, shape = case["name"], case["images"]
        pixels = np.fromfile(FOLDER / f"{name}.bin", np.uint8).reshape(shape)
        images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / 255
        ours = np.array(case["logits"], np.float32).reshape(shape[0], -1)
        spreads.append(np.ptp(ours, axis=0).max())
        if not spreads[-1] > SPREAD:
            failures += 1
            print(f"{name}: our logits hardly differ between images")
        module = load(name)
        with torch.no_grad():
            found = {"PyTorch": module.load()(torch.from_numpy(images)).numpy()}
        if has_onnx:
            found["ONNX Runtime"] = onnx_logits(name, images)
        for library, theirs in found.items():
            off = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
            worst[library] = max(worst[library], off)
            if not off <= TOLERANCE or module.CLASSES != case["classes"]:
                failures += 1
                print(f"{name}, {library}: logits differ by up to {off}, ours from {ours.min()} to {ours.max()}")
    print(f"logits spread by {', '.join(f'{spread:.3g}' for spread in spreads)} over the images;")
    spoken = ", ".join(f"{library} within {off:.1e}" for library, off in worst.items() if library == "PyTorch" or has_onnx)
    print(f"{spoken}, {failures} failures" + ("" if has_onnx else "; ONNX not checked: onnx, onnxscript or onnxruntime is missing"))
    sys.exit(1 if failures else 0)


main()
