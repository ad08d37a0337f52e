#!/usr/bin/env python3
"""Times a top-k training step of this project beside PyTorch's, in one run, on the same rows.

    tests/bench/compare_torch.py                            two shapes, on the cpu
    tests/bench/compare_torch.py --shape 1024,576,4096,32   batch,width,latents,k

Torch and sae-lens are installed from PyPI into a virtual environment of their own (--venv), once. The contestants take
turns, a step each in every round, so that a slow minute of the machine meets them all; medians are printed. A step is:
forward, mean squared error, backward, the decoder gradient's part along its rows removed, Adam, rows back to unit
length. Ours also keeps a moving average of the weights and its statistics; the others do not. No latent is dead.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

INSIDE = "--inside" in sys.argv  # the virtual environment, which alone has what follows
if INSIDE:
    import importlib.metadata
    import warnings

    import numpy
    import torch
    import torch.nn.functional as F
    from torch.autograd import Function

    warnings.filterwarnings("ignore")
else:
    Function = object

ROOT = pathlib.Path(__file__).resolve().parents[2]


def enter_environment(folder):
    """Installs what is missing and starts this script again inside the environment."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import torch, sae_lens"], capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "sae-lens"], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:], "--inside"])


def structured_rows(features, rows):
    """Each row is the sum of 24 features, drawn by Zipf's law, and noise: as a trained autoencoder meets them."""
    latents, width = features.shape
    law = 1.0 / (torch.arange(latents) + 20.0)
    chosen = torch.multinomial(law.expand(rows, -1), 24, replacement=True) * 7919 % latents
    strength = 0.5 - torch.log(1 - torch.rand(rows, 24))
    x = 0.06 * torch.randn(rows, width) + torch.einsum("rf,rfw->rw", strength, features[chosen])
    x = x - x.mean(1, keepdim=True)
    return x / x.norm(dim=1, keepdim=True)


class Dense:
    """Everything dense, as dictionary_learning trains: scatter into [batch, latents], gradients by autograd."""

    def __init__(self, features, k, autocast=False):
        self.k, self.autocast = k, autocast
        self.encoder = torch.nn.Parameter(features.clone())
        self.bias = torch.nn.Parameter(torch.zeros(features.shape[0]))
        self.decoder = torch.nn.Parameter(features.T.clone())  # [width, latents]
        self.pre_bias = torch.nn.Parameter(torch.zeros(features.shape[1]))
        self.parameters = [self.encoder, self.bias, self.decoder, self.pre_bias]
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-4)

    def step(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            pre = F.relu(F.linear(x - self.pre_bias, self.encoder, self.bias))
            best = pre.topk(self.k, sorted=False, dim=-1)
            latents = torch.zeros_like(pre).scatter_(-1, best.indices, best.values)
            rebuilt = F.linear(latents, self.decoder) + self.pre_bias
        (x - rebuilt.float()).pow(2).sum(-1).mean().backward()
        with torch.no_grad():
            unit = self.decoder / self.decoder.norm(dim=0, keepdim=True)
            self.decoder.grad -= (self.decoder.grad * unit).sum(0, keepdim=True) * unit
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        with torch.no_grad():
            self.decoder /= self.decoder.norm(dim=0, keepdim=True)


class ScatteredEncoder(Function):
    """Latents chosen from a float32 product; the weight gradient by index_add of every (row, latent) pair."""

    @staticmethod
    def forward(context, x, weight, bias, k):
        values, index = F.relu(F.linear(x, weight, bias)).topk(k, dim=-1, sorted=False)
        context.save_for_backward(x, weight, index)
        return values, index

    @staticmethod
    def backward(context, g, _):
        x, weight, index = context.saved_tensors
        pairs = (g.unsqueeze(2) * x.unsqueeze(1)).reshape(-1, x.shape[1])
        dweight = torch.zeros_like(weight).index_add_(0, index.flatten(), pairs)
        dbias = torch.zeros(weight.shape[0]).index_add_(0, index.flatten(), g.flatten())
        return F.embedding_bag(index, weight, mode="sum", per_sample_weights=g), dweight, dbias, None


class CsrEncoder(Function):
    """Latents chosen from a bfloat16 product; the weight gradient as one product with a CSR matrix."""

    @staticmethod
    def forward(context, x, weight, bias, k):
        scores = F.linear(x.bfloat16(), weight.bfloat16(), bias.bfloat16())
        values, index = scores.topk(k, dim=-1, sorted=False)
        values = values.float().relu()
        context.save_for_backward(x, weight, index, values)
        return values, index

    @staticmethod
    def backward(context, g, _):
        x, weight, index, values = context.saved_tensors
        g = g * (values > 0)
        rows, k = index.shape
        sparse = torch.sparse_csr_tensor(torch.arange(0, rows * k + 1, k), index.flatten(), g.flatten(),
                                         (rows, weight.shape[0]))
        dweight = torch.sparse.mm(sparse.t().to_sparse_csr(), x)
        dbias = torch.zeros(weight.shape[0]).index_add_(0, index.flatten(), g.flatten())
        return None, dweight, dbias, None


class Sparse:
    """Sparse eager steps: only the chosen latents are decoded and differentiated."""

    def __init__(self, features, k, encoder, fused):
        self.k, self.choose = k, encoder
        self.encoder = torch.nn.Parameter(features.clone())
        self.bias = torch.nn.Parameter(torch.zeros(features.shape[0]))
        self.decoder = torch.nn.Parameter(features.clone())  # [latents, width]
        self.pre_bias = torch.nn.Parameter(torch.zeros(features.shape[1]))
        self.optimiser = torch.optim.Adam([self.encoder, self.bias, self.decoder, self.pre_bias], lr=1e-4, fused=fused)

    def step(self, x):
        # The pre-bias gets the decoder's part of its gradient only, which favours this contestant a little.
        values, index = self.choose.apply(x - self.pre_bias.detach(), self.encoder, self.bias, self.k)
        rebuilt = F.embedding_bag(index, self.decoder, mode="sum", per_sample_weights=values) + self.pre_bias
        (x - rebuilt).pow(2).sum(-1).mean().backward()
        with torch.no_grad():
            self.decoder.grad -= (self.decoder.grad * self.decoder).sum(1, keepdim=True) * self.decoder
        self.optimiser.step()
        self.optimiser.zero_grad()
        with torch.no_grad():
            self.decoder /= self.decoder.norm(dim=1, keepdim=True)


class SaeLens:
    """SAELens's own top-k autoencoder and training forward, with the optimiser and clipping of its trainer."""

    def __init__(self, features, k, autocast=False):
        from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
        self.autocast = autocast
        self.sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=features.shape[1], d_sae=features.shape[0], k=k))
        with torch.no_grad():
            self.sae.W_enc.copy_(features.T)
            self.sae.W_dec.copy_(features)
        self.optimiser = torch.optim.Adam(self.sae.parameters(), lr=1e-4)

    def step(self, x):
        from sae_lens.saes.sae import TrainStepInput
        given = TrainStepInput(sae_in=x, coefficients={}, dead_neuron_mask=None, n_training_steps=0,
                               is_logging_step=False)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            loss = self.sae.training_forward_pass(step_input=given).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.sae.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()


def ours(bench, shape, rows_file):
    """Runs our benchmark once; returns the milliseconds of the bf16 encoder product alone and of a step."""
    batch, width, latents, k = shape
    done = subprocess.run([bench, "--batch-size", str(batch), "--width", str(width), "--latents", str(latents), "--k", str(k),
                           "--rows", rows_file, "--runs", "5", "--steps-only"], check=True, capture_output=True, text=True)
    product = re.search(r"encoder product alone, bf16:\s*([\d.]+) ms", done.stdout)
    step = re.search(r"^step:\s*([\d.]+) ms", done.stdout, re.MULTILINE)
    return float(product.group(1)), float(step.group(1))


def measure(shape, options):
    batch, width, latents, k = shape
    torch.manual_seed(0)
    features = F.normalize(torch.randn(latents, width), dim=1)
    batches = [structured_rows(features, batch) for _ in range(8)]
    rows_file = str(pathlib.Path(options.venv) / "rows.npy")
    numpy.save(rows_file, torch.cat(batches).numpy())
    contestants = {
        "dense, float32 (dictionary_learning's way)": lambda: Dense(features, k),
        "dense, bfloat16 autocast": lambda: Dense(features, k, autocast=True),
        "sparse eager, float32 (embedding_bag, index_add)": lambda: Sparse(features, k, ScatteredEncoder, False),
        "sparse eager, bf16 encoder, CSR gradient, fused Adam": lambda: Sparse(features, k, CsrEncoder, True),
        "SAELens TopK, float32": lambda: SaeLens(features, k),
        "SAELens TopK, bfloat16 autocast": lambda: SaeLens(features, k, autocast=True),
    }
    print(f"\nbatch {batch} width {width} latents {latents} k {k}; {torch.get_num_threads()} threads", flush=True)
    times = {"this project": []}
    products = []
    for name, make in contestants.items():
        times[name] = []
        contestant = make()
        contestant.step(batches[0])  # fills caches and the optimiser's state
        contestants[name] = contestant
    for turn in range(options.rounds):
        product, step = ours(options.bench, shape, rows_file)
        products.append(product)
        times["this project"].append(step)
        for name, contestant in contestants.items():
            start = time.perf_counter()
            contestant.step(batches[turn % len(batches)])
            times[name].append((time.perf_counter() - start) * 1e3)
    best = statistics.median(times["this project"])
    print(f"bf16 encoder product alone: {statistics.median(products):.1f} ms (ours, packed beforehand)\n")
    print("| step | ms | rows a second | times ours |\n|---|---|---|---|")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.1f} | {batch / median * 1000:.0f} | {median / best:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", help="batch,width,latents,k; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--bench", default=str(ROOT / "build" / "bin" / "step_bench"), help="our benchmark")
    parser.add_argument("--venv", default=str(pathlib.Path.home() / ".cache" / "sae.cpp" / "compare_torch"),
                        help="folder of the virtual environment")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not pathlib.Path(options.bench).exists():
        sys.exit(f"compare_torch: no {options.bench}; build it: cmake --build build --target step_bench")
    if not options.inside:
        enter_environment(pathlib.Path(options.venv))
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, sae-lens {importlib.metadata.version('sae-lens')}")
    for shape in options.shape or ["1024,576,4096,32", "2048,768,16384,32"]:
        measure([int(part) for part in shape.split(",")], options)


if __name__ == "__main__":
    main()
