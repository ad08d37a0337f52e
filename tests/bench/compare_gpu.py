#!/usr/bin/env python3
"""Times a TopK training step of this project beside PyTorch's, OpenAI's and sparsify's on one GPU, in one run.

    tests/bench/compare_gpu.py --openai CHECKOUT --sparsify CHECKOUT            the paper's shape
    tests/bench/compare_gpu.py --shape 8192,768,32768,32 --shape ...            batch,width,latents,k

Needs torch, triton and numpy, and a build of step_bench with CUDA. Without a checkout that contestant is left out; no
code of theirs is part of this project. Each contestant is a process of its own on the same .npy rows; they take turns,
block by block, so that a GPU that slows down meets them all. Medians and quartiles are printed.

A step is: forward, mean squared error, backward, the decoder gradient's part along its rows removed, Adam in float32,
rows back to unit length; no clipping. Ours also keeps a moving average of the weights. No latent is dead; OpenAI's step
looks for dead ones all the same (k_aux 256), as it always does.

What is done to the others' code, all of it at run time:
  openai    sharded_topk is torch.topk: the one that is there fails in a single process. Gradients are set to None before
            each step: its loop never clears them. No logging, no printing and no loss scaler: bfloat16 autocast.
  sparsify  nothing; Adam in place of its default optimiser, and its fvu as the loss.

This script has not run on hardware yet.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Dense:
    """Everything dense, gradients by autograd, as dictionary_learning trains."""

    def __init__(self, torch, features, k, precision):
        self.torch, self.k, self.precision = torch, k, precision
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        make = torch.nn.Parameter
        self.encoder, self.bias = make(features.clone()), make(torch.zeros(features.shape[0], device="cuda"))
        self.decoder = make(features.T.contiguous())
        self.pre_bias = make(torch.zeros(features.shape[1], device="cuda"))
        self.optimiser = torch.optim.Adam([self.encoder, self.bias, self.decoder, self.pre_bias], lr=1e-4, eps=6.25e-10,
                                          fused=True)

    def step(self, x):
        torch = self.torch
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            pre = torch.relu(torch.nn.functional.linear(x - self.pre_bias, self.encoder, self.bias))
            best = pre.topk(self.k, sorted=False, dim=-1)
            latents = torch.zeros_like(pre).scatter_(-1, best.indices, best.values)
            rebuilt = torch.nn.functional.linear(latents, self.decoder) + self.pre_bias
        (rebuilt.float() - x).pow(2).mean().backward()
        with torch.no_grad():
            self.decoder.grad -= (self.decoder.grad * self.decoder).sum(0, keepdim=True) * self.decoder
            self.optimiser.step()
            self.decoder /= self.decoder.norm(dim=0, keepdim=True)


class OpenAi:
    def __init__(self, torch, checkout, features, k):
        sys.path.insert(0, checkout)
        from sparse_autoencoder import train
        train.sharded_topk = lambda x, k, sh_comm, capacity_factor=None: tuple(reversed(torch.topk(x, k=k, dim=-1)))
        self.torch, self.train = torch, train
        latents, width = features.shape
        self.model = train.FastAutoencoder(latents, width, k, 256, 10_000_000).cuda()
        self.model.encoder.weight.data.copy_(features)
        self.model.decoder.weight.data.copy_(features.T)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-4, eps=6.25e-10, fused=True)

    def step(self, x):
        torch, model = self.torch, self.model
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            rebuilt, info = model(x)
            loss = self.train.mse(rebuilt, x)
            missed = x - rebuilt.detach() + model.pre_bias.detach()
            dead = self.train.normalized_mse(model.decode_sparse(info["auxk_inds"], info["auxk_vals"]), missed)
            loss = loss + dead.nan_to_num(0) / 32
        loss.backward()
        self.train.unit_norm_decoder_(model)
        self.train.unit_norm_decoder_grad_adjustment_(model)
        self.optimiser.step()


class Sparsify:
    def __init__(self, torch, checkout, features, k):
        sys.path.insert(0, checkout)
        from sparsify.config import SparseCoderConfig
        from sparsify.sparse_coder import SparseCoder
        latents, width = features.shape
        self.model = SparseCoder(width, SparseCoderConfig(num_latents=latents, k=k), device="cuda")
        self.model.encoder.weight.data.copy_(features)
        self.model.W_dec.data.copy_(features)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-4, eps=6.25e-10, fused=True)

    def step(self, x):
        self.optimiser.zero_grad(set_to_none=True)
        self.model(x).fvu.backward()
        self.model.remove_gradient_parallel_to_decoder_directions()
        self.optimiser.step()
        self.model.set_decoder_norm_to_unit_norm()


def serve(options):
    """A contestant: for each line "N" on the standard input, N steps and a line with their milliseconds."""
    import numpy
    import torch
    folder = pathlib.Path(options.folder)
    features = torch.from_numpy(numpy.load(folder / "features.npy")).cuda()
    host = [torch.from_numpy(numpy.load(folder / f"rows{i}.npy")).pin_memory() for i in range(4)]
    kind, k = options.contestant, options.k
    if kind == "product":
        rows, weights = [x.cuda().bfloat16() for x in host], features.bfloat16()
        step = lambda i: rows[i] @ weights.T
    else:
        if kind.startswith("dense"):
            contestant = Dense(torch, features, k, kind.split()[1])
        elif kind == "openai":
            contestant = OpenAi(torch, options.openai, features, k)
        else:
            contestant = Sparsify(torch, options.sparsify, features, k)
        step = lambda i: contestant.step(host[i].cuda(non_blocking=True))
    for i in range(5):
        step(i % 4)
    torch.cuda.synchronize()
    print("ready", flush=True)
    for line in sys.stdin:
        events = [torch.cuda.Event(enable_timing=True) for _ in range(int(line) + 1)]
        events[0].record()
        for i in range(int(line)):
            step(i % 4)
            events[i + 1].record()
        torch.cuda.synchronize()
        times = [a.elapsed_time(b) for a, b in zip(events, events[1:])]
        print(json.dumps({"ms": times, "peak": torch.cuda.max_memory_allocated()}), flush=True)


class Process:
    def __init__(self, kind, options, shape, folder):
        command = [sys.executable, __file__, "--contestant", kind, "--k", str(shape[3]), "--folder", folder]
        for name in ("openai", "sparsify"):
            if getattr(options, name):
                command += ["--" + name, getattr(options, name)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.alive = self.process.stdout.readline().strip() == "ready"

    def block(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def ours(options, shape, folder, steps, extra):
    batch, width, latents, k = shape
    done = subprocess.run([options.bench, "--device", "cuda", "--batch-size", str(batch), "--width", str(width), "--latents",
                           str(latents), "--k", str(k), "--rows", f"{folder}/rows0.npy", "--runs", str(steps), *extra],
                          check=True, capture_output=True, text=True).stdout
    step = re.search(r"^step:\s*([\d.]+) ms", done, re.MULTILINE)
    peak = re.search(r"peak memory ([\d.]+) MB", done)
    return {"ms": [float(step.group(1))], "peak": float(peak.group(1)) * 1e6}


def write_rows(shape, folder):
    """Each row is the sum of 24 features, drawn by Zipf's law, and noise: as a trained autoencoder meets them."""
    import numpy
    batch, width, latents, _ = shape
    random = numpy.random.default_rng(0)
    features = random.standard_normal((latents, width), dtype=numpy.float32)
    features /= numpy.linalg.norm(features, axis=1, keepdims=True)
    numpy.save(f"{folder}/features.npy", features)
    law = 1 / (numpy.arange(latents) + 20.0)
    for i in range(4):
        rows = 0.06 * random.standard_normal((batch, width), dtype=numpy.float32)
        chosen = random.choice(latents, size=(batch, 24), p=law / law.sum())
        strength = 0.5 + random.standard_exponential((batch, 24), dtype=numpy.float32)
        for j in range(24):
            rows += strength[:, j, None] * features[chosen[:, j]]
        numpy.save(f"{folder}/rows{i}.npy", rows)


def measure(shape, options):
    batch, width, latents, k = shape
    with tempfile.TemporaryDirectory() as folder:
        write_rows(shape, folder)
        kinds = ["product", "dense bf16", "dense tf32"] + [n for n in ("openai", "sparsify") if getattr(options, n)]
        runners = {"this project, exact": lambda n: ours(options, shape, folder, n, []),
                   "this project, bf16": lambda n: ours(options, shape, folder, n, ["--bf16"])}
        processes = {}
        for kind in kinds:
            process = Process(kind, options, shape, folder)
            if process.alive:
                processes[kind] = process
                runners[kind] = process.block
            else:
                print(f"{kind}: did not start (too little memory?)")
        times, peaks = {}, {}
        for _ in range(options.blocks):
            for name, run in runners.items():
                found = run(options.steps)
                if found is None:
                    continue
                times.setdefault(name, []).extend(found["ms"])
                peaks[name] = max(peaks.get(name, 0), found["peak"])
        for process in processes.values():
            process.stop()
    print(f"\nbatch {batch} width {width} latents {latents} k {k}\n")
    print("| step | ms | quartiles | rows a second | of the product | peak GB |\n|---|---|---|---|---|---|")
    product = statistics.median(times["product"])
    for name, values in times.items():
        median = statistics.median(values)
        low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (median, median, median)
        print(f"| {name} | {median:.3f} | {low:.3f}-{high:.3f} | {batch / median * 1000:.0f} | {median / product:.2f} | "
              f"{peaks[name] * 1e-9:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", help="batch,width,latents,k; may be repeated")
    parser.add_argument("--openai", help="checkout of openai/sparse_autoencoder")
    parser.add_argument("--sparsify", help="checkout of EleutherAI/sparsify")
    parser.add_argument("--blocks", type=int, default=3, help="turns of each contestant")
    parser.add_argument("--steps", type=int, default=20, help="steps in a turn")
    parser.add_argument("--bench", default=str(ROOT / "build" / "bin" / "step_bench"), help="our benchmark")
    for hidden in ("--contestant", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--k", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        return serve(options)
    if not pathlib.Path(options.bench).exists():
        sys.exit(f"compare_gpu: no {options.bench}; build it: cmake --build build --target step_bench")
    import torch
    if not torch.cuda.is_available():
        sys.exit("compare_gpu: torch sees no GPU")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for shape in options.shape or ["131072,768,32768,32"]:
        measure([int(part) for part in shape.split(",")], options)


if __name__ == "__main__":
    main()
