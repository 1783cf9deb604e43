#!/usr/bin/env bash
# On a machine with a GPU: builds, checks that it computes what the CPU does, and measures, beside PyTorch where
# python3 has a PyTorch with CUDA. Writes gpu.jsonl to the folder given, or here.
#
#     benches/gpu.sh [OUT]
set -euo pipefail
out=$(realpath "${1:-.}")
cd "$(dirname "$0")/.."

cargo build --release
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
deepaug="$target/release/deepaug"

"$deepaug" devices
# One tiny training on both; it skips itself, and says so, without an adapter.
cargo test --release --test wgpu

: > "$out/gpu.jsonl"
for model in basiccnn simplecnn wrn_16_2; do
    "$deepaug" bench --child --model "$model" --device wgpu --seconds 3 --json | tee -a "$out/gpu.jsonl"
done
if command -v nvidia-smi >/dev/null; then
    "$deepaug" bench --child --model basiccnn --device wgpu --seconds 20 --children 16 --json >> "$out/gpu.jsonl" &
    sleep 15
    nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv -l 1 & watch=$!
    wait %1 || true
    kill "$watch"
fi
# A real trial: 50 epochs of 4,000 images, 3 children at once; the trials of the default study times 501 is its time.
cat > "$out/trial.toml" <<'TOML'
train_set_size = 2000
validation_set_size = 1000
sub_policies = 1
portion = "search"
iters = 2
opt_initial_points = 2
confirm_policies = 0
device = "wgpu"
TOML
rm -rf "$out/trial"
time "$deepaug" optimize --config "$out/trial.toml" --out "$out/trial" --json | tail -1
if python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    python3 benches/peers/torch_speed.py --best --device cuda | tee -a "$out/gpu.jsonl"
fi
