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
# Every kernel beside plain loops, whole trainings and a whole search; they skip themselves, and say so, without an adapter.
cargo test --release --lib on_a_gpu
cargo test --release --test wgpu --test gpu

: > "$out/gpu.jsonl"
for model in basiccnn simplecnn wrn_16_2; do
    for children in 1 8 32 64; do
        "$deepaug" bench --child --model "$model" --device wgpu --children "$children" --seconds 3 \
            --online trivialaugment --json | tee -a "$out/gpu.jsonl"
    done
done
"$deepaug" bench --child --model wrn_28_10 --batch 128 --children 1 --device wgpu --seconds 3 --json | tee -a "$out/gpu.jsonl"
# What the cores feed it with.
"$deepaug" bench --ops --size 32 --threads 2,8,16 | tee "$out/ops.txt"
if command -v nvidia-smi >/dev/null; then
    "$deepaug" bench --child --model basiccnn --device wgpu --seconds 20 --children 32 --json >> "$out/gpu.jsonl" &
    sleep 10
    nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv -l 1 & watch=$!
    wait %1 || true
    kill "$watch"
fi
# Real trials: 50 epochs of 4,000 images each; the seconds of a training times 501 is the default study's time.
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
    for way in "" --graph --compile; do
        python3 benches/peers/torch_speed.py --model wrn_28_10 --batch 128 --channels-last --precision bf16 --device cuda $way --json \
            | tee -a "$out/gpu.jsonl"
    done
fi
