#!/usr/bin/env python3
"""Measures how many images a second PyTorch trains on, in its own best configuration.

    pip install torch
    python3 torch_speed.py --model wrn_16_2 --threads 2 --channels-last
    python3 torch_speed.py --model wrn_16_2 --processes 2
    python3 torch_speed.py --best                # every net; on a GPU: --best --device cuda
    python3 torch_speed.py --model wrn_16_2 --device cuda --precision bf16 --graph

Random images of 32x32x3 that are in memory already, batches of 64, the optimiser and dropouts of the Rust child; no
augmentation and no evaluation. --graph captures a whole step, forward pass, backward pass and optimiser, in a CUDA
graph and replays it, which is what a user of PyTorch can reach at that batch size. With --processes P, P processes train a net each, on one thread each, and what they do
in a common window of time is summed, a window that begins when all have warmed up.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import torch
from torch import multiprocessing
from torch.nn import functional as F

import nets


def optimiser(name, parameters, graph):
    if name == "basiccnn":
        return torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, eps=1e-7, foreach=True, capturable=graph)
    return torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, fused=True, capturable=graph)


def captured(step, x, y):
    """Returns a function that runs a step on other images by replaying its launches."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step(x, y)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(x, y)

    def replay(images, labels):
        x.copy_(images)
        y.copy_(labels)
        graph.replay()

    return replay


def work(_, arguments, threads, start, ended, rates):
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.precision == "tf32"
    layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
    model = nets.make(arguments.model).to(device, memory_format=layout).train()
    forward = torch.compile(model) if arguments.compile else model
    change = optimiser(arguments.model, model.parameters(), arguments.graph)
    batches = [(torch.rand(arguments.batch, 3, 32, 32).to(device, memory_format=layout),
                torch.randint(10, (arguments.batch,)).to(device)) for _ in range(16)]

    def step(x, y):
        change.zero_grad(set_to_none=not arguments.graph)
        with torch.autocast(device.type, torch.bfloat16, arguments.precision == "bf16"):
            loss = F.cross_entropy(forward(x), y)
        loss.backward()
        change.step()

    if arguments.graph:
        step = captured(step, *(part.clone() for part in batches[0]))
    # A GPU is waited for only now and then.
    stride = 1 if device.type == "cpu" else 16
    done = 0

    def train():
        nonlocal done
        for _ in range(stride):
            step(*batches[done % len(batches)])
            done += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.monotonic()

    warm = time.monotonic() + arguments.warm_up
    while train() < warm or done < 5:
        pass
    start.wait()
    before, begin = done, time.monotonic()
    now = begin
    while now - begin < arguments.seconds:
        last, now = now, train()
    # Of the step that passes the end of the window, the part that lies in it.
    inside = done - before - stride * (now - begin - arguments.seconds) / (now - last)
    rates.put(inside * arguments.batch / arguments.seconds)
    # The others shall not have the machine to themselves before their windows end.
    with ended.get_lock():
        ended.value += 1
    while ended.value < arguments.processes:
        train()


def measure(arguments):
    threads = arguments.threads if arguments.processes == 1 else 1
    context = multiprocessing.get_context("spawn")
    start, ended, rates = context.Barrier(arguments.processes), context.Value("i", 0), context.SimpleQueue()
    shared = (arguments, threads, start, ended, rates)
    if arguments.processes == 1:
        work(0, *shared)
    else:
        multiprocessing.spawn(work, shared, arguments.processes)
    total = sum(rates.get() for _ in range(arguments.processes))
    return {"torch": torch.__version__, "model": arguments.model, "device": arguments.device, "threads": threads,
            "processes": arguments.processes, "channels_last": arguments.channels_last, "batch": arguments.batch,
            "precision": arguments.precision, "graph": arguments.graph, "compile": arguments.compile,
            "seconds": arguments.seconds, "images_per_second": round(total, 1)}


def best(arguments, models):
    """Every configuration in a fresh process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    shares = [["--threads", str(cores)], ["--processes", str(cores)]] if arguments.device == "cpu" and cores > 1 else [
        ["--threads", str(cores)]]
    ways = [[]]
    if arguments.device == "cuda":
        ways = [["--precision", precision, *more] for precision in ("tf32", "bf16") for more in ([], ["--graph"], ["--compile"])]
    for model in models:
        for share in (share + way for share in shares for way in ways):
            for layout in ([], ["--channels-last"]):
                subprocess.run([sys.executable, __file__, "--json", "--model", model, "--device", arguments.device,
                                "--seconds", str(arguments.seconds), "--warm-up", str(arguments.warm_up),
                                "--batch", str(arguments.batch), *share, *layout], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[*nets.NETS, "wrn_28_10"], help="basiccnn unless given; with --best, all")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the one process")
    parser.add_argument("--processes", type=int, default=1, help="if more than 1, each has one thread")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--graph", action="store_true", help="replay a step as a CUDA graph")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=3, help="seconds")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--best", action="store_true", help="all cores as threads or processes, either layout")
    arguments = parser.parse_args()
    if arguments.best:
        return best(arguments, [arguments.model] if arguments.model else list(nets.NETS))
    arguments.model = arguments.model or "basiccnn"
    result = measure(arguments)
    print(json.dumps(result) if arguments.json else "{images_per_second} images/s: {model}, {processes} process(es) of "
          "{threads} thread(s), channels_last={channels_last}, {device}".format(**result), flush=True)


if __name__ == "__main__":
    main()
