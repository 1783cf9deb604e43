#!/usr/bin/env bash
# Installs the Python libraries that tests compare with, and what builds and tests the Python package, and prints the variables that name them:
#
#     eval "$(tests/python.sh)" && cargo test --release
#
# PyTorch's wheels take 11 GB. What is installed already is kept in ~/.cache/deepaug.
set -euo pipefail
at="${XDG_CACHE_HOME:-$HOME/.cache}/deepaug"

# Makes an environment of its own, unless it is there.
environment() {
    local folder="$at/$1"
    shift
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder"
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check "$@" >&2
        touch "$folder/complete"
    fi
}

environment python-2026 torch torchvision albumentations==2.0.8 safetensors onnx onnxscript onnxruntime &
environment python-2024 torch==2.5.1 torchvision==0.20.1 albumentations==1.4.21 safetensors &
environment python-package --requirement "$(dirname "$0")/../python/requirements-ci.txt" &
environment python-ray ray numpy &
environment python-imgaug imgaug==0.4.0 "numpy<2" &
for job in $(jobs -p); do
    wait "$job"
done
echo "export DEEPAUG_PYTHON_TORCH=$at/python-2026/bin/python:$at/python-2024/bin/python"
echo "export DEEPAUG_PYTHON_PACKAGE=$at/python-package/bin/python"
echo "export DEEPAUG_PYTHON_RAY=$at/python-ray/bin/python"
echo "export DEEPAUG_PYTHON_IMGAUG=$at/python-imgaug/bin/python"
