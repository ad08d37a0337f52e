#!/usr/bin/env python3
"""Trains one top-k autoencoder with this project, with SAELens's trainer and with dictionary_learning's, on the same rows.

    tests/bench/compare_trainers.py --data FOLDER [--seeds 3] [--steps 200] [--latents 1024] [--k 32] [--lr 1.5e-3,3e-3,...]

FOLDER is what `harvest` made. One recipe: float32 rows with their mean over the width removed and unit length, for the
peers times the square root of the width (their layer-norm scale; their biases could not keep up on shorter rows), one
pass in a random order that each draws by itself, batches of 512, Adam, warm-up of 5 %, decay over the last 20 %, b_pre at
the geometric median (SAELens's trainer would leave it at zero), AuxK of half the width on latents that have not fired for
100 steps. Each trainer gets the learning rate that is best for it on validation rows with the first seed, all from one
grid: the scale of rows and of first weights decides which that is. No moving average. The peers clip gradients at a norm
of 1, which all of theirs exceed, so ours are clipped at 0.01, which all of them exceed; their rows are longer, so that one
learning rate moves their biases less against their rows: ours learn with --bias-rate 1 / sqrt(width). Encoder rows start at
length 1, as in dictionary_learning (--encoder-length 1).

What differs, as each trainer has it: SAELens starts from decoder rows of length 0.1, scales its choice by their lengths
and does not keep them at 1; AuxK's weight is 1/32 here and in dictionary_learning, 1 in SAELens, with normalisations of
their own; ours takes products in bfloat16 but for the choice (`--precision
exact`).

Every autoencoder is then judged by the same lines below, on the test split in float64: NMSE = squared error over squared
distance from the training split's mean row, L0 = latents above 0, dead = share of latents that never fire there. Seconds
are the training steps alone. Packages come from PyPI into a virtual environment (--venv), once.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / "tests" / "interchange"))
import compare_peers

INSIDE = "--inside" in sys.argv
if INSIDE:
    import json
    import statistics
    import warnings

    warnings.filterwarnings("ignore")
    import numpy
    import torch

    from stored_rows import normalised, read_safetensors, stored_rows

HOW = "mean over the width removed, unit norm"
BATCH = 512


def batches(rows, seed, steps):
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    for step in range(steps):
        places = order[torch.arange(step * BATCH, (step + 1) * BATCH) % len(rows)]
        yield rows[places]


def geometric_median(rows):
    """Weiszfeld's iteration."""
    guess = rows.mean(0)
    for _ in range(50):
        weight = 1 / (rows - guess).norm(dim=1).clamp_min(1e-9)
        guess = (rows * weight[:, None]).sum(0) / weight.sum()
    return guess


def of_saelens(o, rows, seed, lr):
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(seed)
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=rows.shape[1], d_sae=o.latents, k=o.k, device="cpu", dtype="float32"))
    sae.b_dec.data.copy_(geometric_median(rows[:32768]))
    config = SAETrainerConfig(total_training_samples=o.steps * BATCH, train_batch_size_samples=BATCH, lr=lr, lr_end=0.0,
                              lr_warm_up_steps=o.steps // 20, lr_decay_steps=o.steps // 5, dead_feature_window=100,
                              logger=LoggingConfig(log_to_wandb=False))
    trainer = SAETrainer(config, sae, iter(batches(rows, seed, o.steps + 1)))
    start = time.monotonic()
    trainer.fit()
    seconds = time.monotonic() - start
    with torch.no_grad():
        norms = sae.W_dec.norm(dim=1, keepdim=True)  # folded: the choice goes by z times norm
        return (sae.W_enc.T * norms, sae.b_enc * norms[:, 0], sae.W_dec / norms, sae.b_dec), seconds


def of_dictionary_learning(o, rows, seed, lr):
    compare_peers.dictionary_learning()
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(steps=o.steps, activation_dim=rows.shape[1], dict_size=o.latents, k=o.k, layer=0, lm_name="none",
                          lr=lr, warmup_steps=o.steps // 20, decay_start=o.steps - o.steps // 5, seed=seed, device="cpu")
    trainer.dead_feature_threshold = 100 * BATCH
    start = time.monotonic()
    for step, x in enumerate(batches(rows, seed, o.steps)):
        trainer.update(step, x)
    seconds = time.monotonic() - start
    ae = trainer.ae
    with torch.no_grad():
        return (ae.encoder.weight, ae.encoder.bias, ae.decoder.weight.T, ae.b_dec), seconds


def of_ours(o, width, seed, lr):
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        done = subprocess.run(
            [o.bin / "train", "--data", o.data, "--output", run, "--latents", str(o.latents), "--k", str(o.k), "--lr", str(lr),
             "--batch-size", str(BATCH), "--tokens", str(o.steps * BATCH), "--lr-warmup", "0.05", "--lr-decay", "0.2",
             "--dead-after", str(100 * BATCH), "--averaging", "off", "--clip-norm", "0.01",
             "--bias-rate", str(width ** -0.5), "--encoder-length", "1", "--seed", str(seed)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        t, _ = read_safetensors(run / "autoencoder.safetensors")
        seconds = json.loads((run / "result.json").read_text())["points"][-1]["seconds"]
    return tuple(torch.tensor(t[name]) for name in ("encoder", "encoder_bias", "decoder", "pre_bias")), seconds


def judge(weights, k, test, mean):
    encoder, bias, decoder, pre_bias = (w.detach().double() for w in weights)
    error = energy = active = 0.0
    fired = torch.zeros(len(encoder), dtype=torch.bool)
    for x in test.split(1024):
        best = ((x - pre_bias) @ encoder.T + bias).topk(k)
        z = torch.zeros(len(x), len(encoder), dtype=torch.float64).scatter_(1, best.indices, best.values.relu())
        error += (z @ decoder + pre_bias - x).pow(2).sum().item()
        energy += (x - mean).pow(2).sum().item()
        active += (z > 0).sum().item()
        fired |= (z > 0).any(0)
    return error / energy, active / len(test), 1 - fired.double().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "bin")
    parser.add_argument("--venv", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "sae.cpp" / "peers")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--latents", type=int, default=1024)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--lr", default="1.5e-3,3e-3,6e-3,1.2e-2,2.4e-2", help="the grid")
    parser.add_argument("--rows", type=int, default=10**9, help="of the training split, for the peers; ours draws from all")
    parser.add_argument("--test-rows", type=int, default=8192)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if not INSIDE:
        compare_peers.enter_environment(o.venv, __file__)
    train, _, _ = normalised(stored_rows(o.data / "train", o.rows), HOW)
    mean = torch.tensor(train.mean(0))
    scale = train.shape[1] ** 0.5
    rows = torch.tensor(scale * train, dtype=torch.float32)
    held_out = {split: torch.tensor(normalised(stored_rows(o.data / split, o.test_rows), HOW)[0])
                for split in ("validation", "test")}
    grid = [float(rate) for rate in o.lr.split(",")]
    print(f"{len(rows)} training rows of width {rows.shape[1]}, {len(held_out['test'])} test rows, {torch.get_num_threads()} threads, torch {torch.__version__}")
    contestants = {"this project": (lambda seed, lr: of_ours(o, train.shape[1], seed, lr), 1.0),
                   "SAELens": (lambda seed, lr: of_saelens(o, rows, seed, lr), scale),
                   "dictionary_learning": (lambda seed, lr: of_dictionary_learning(o, rows, seed, lr), scale)}
    found, rates = {}, {}
    for name, (train_one, unit) in contestants.items():
        def judged(weights, split):
            return judge(weights, o.k, unit * held_out[split], unit * mean)

        trials = []
        for rate in grid:
            weights, seconds = train_one(0, rate)
            trials.append((judged(weights, "validation")[0], rate, weights, seconds))
            print(f"{name:20} learning rate {rate:g}: validation NMSE {trials[-1][0]:.4f}  {seconds:.1f} s", flush=True)
        _, rate, weights, seconds = min(trials, key=lambda trial: trial[0])
        rates[name] = f"{rate:g}{' (edge)' if rate in (grid[0], grid[-1]) else ''}"
        found[name] = [(*judged(weights, "test"), seconds)]
        for seed in range(1, o.seeds):
            weights, seconds = train_one(seed, rate)
            found[name].append((*judged(weights, "test"), seconds))
    print("\n| trainer | learning rate | NMSE (lowest to highest) | L0 | dead | seconds |\n|---|---|---|---|---|---|")
    for name, results in found.items():
        nmse, l0, dead, seconds = zip(*results)
        print(f"| {name} | {rates[name]} | {statistics.mean(nmse):.4f} ({min(nmse):.4f} to {max(nmse):.4f}) | {statistics.mean(l0):.1f} | "
              f"{100 * statistics.mean(dead):.1f} % | {statistics.median(seconds):.1f} |")


if __name__ == "__main__":
    main()
