#!/usr/bin/env python3
"""Times this project's language-model forward beside those of transformers and llama.cpp, in one run, on the same file.

    tests/bench/compare_forward.py                                the subject model, through block 22 and through all
    tests/bench/compare_forward.py --model MODEL.gguf --layer 10

Contexts of 64 tokens drawn at random, with nothing kept between them, as harvest runs them. Ours: harvest itself, its
time in the model alone. transformers: weights dequantised to bfloat16, layers beyond the last one wanted cut off, no
output layer, 16 contexts at once. llama.cpp: prefill by llama-cpp-python, 8 contexts at once; it runs all blocks, and
makes logits of one token in 512. All have the same threads and take turns, once in every round; medians are printed,
and how far the others' activations lie from ours. The others are installed from PyPI into a virtual environment of
their own (--venv), once; llama-cpp-python is compiled for this processor there, which takes some minutes.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

INSIDE = "--inside" in sys.argv  # the virtual environment, which alone has what follows
if INSIDE:
    import importlib.metadata

    os.environ["TQDM_DISABLE"] = "1"
    import llama_cpp
    import numpy
    import torch
    import transformers
    from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sae.cpp"
LENGTH = 64  # of a context
PACKAGES = ["torch", "transformers", "gguf", "llama-cpp-python"]


def enter_environment(folder):
    """Installs what is missing and starts this script again inside the environment."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import torch, transformers, gguf, llama_cpp"], capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:], "--inside"])


class Ours:
    """harvest, a process for each turn; its own report gives the speed in the model alone."""

    def __init__(self, options, ids, layer, folder):
        self.output = folder / f"layer{layer}.safetensors"
        contexts = folder / "contexts.npy"
        numpy.save(contexts, ids.astype(numpy.int32))
        self.command = [options.harvest, "--model", options.model, "--token-ids", contexts, "--context", str(LENGTH),
                        "--layer", str(layer), "--threads", str(options.threads), "--output", self.output, "--overwrite"]

    def turn(self):
        report = subprocess.run(self.command, check=True, capture_output=True, text=True).stderr
        speed = re.search(r"\((\d+) in the model alone\); products at (\d+) GFLOP/s, (\d+) %", report)
        overall = re.search(r"(\d+) tokens/s through", report)
        self.share = int(speed.group(3)) * int(speed.group(1)) / int(overall.group(1))  # of the products' peak
        return int(speed.group(1))

    def activations(self):
        return load_file(self.output)["activations"]


class Transformers:
    """The same weights in bfloat16, the first layers of them, without the output layer."""

    def __init__(self, model, ids, layers):
        self.model, self.layers = model, model.layers[:layers]
        self.ids = torch.from_numpy(ids.astype(numpy.int64))

    @staticmethod
    def load(path):
        path = pathlib.Path(path)
        return transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name,
                                                                 dtype=torch.bfloat16).model.eval()

    def run(self):
        every, self.model.layers = self.model.layers, self.layers
        with torch.inference_mode():
            found = [self.model(ids, use_cache=False).last_hidden_state for ids in self.ids.split(16)]
        self.model.layers = every
        return found

    def turn(self):
        start = time.perf_counter()
        self.run()
        return self.ids.numel() / (time.perf_counter() - start)

    def activations(self):
        """Before the last normalisation, which belongs to the whole model."""
        norm, self.model.norm = self.model.norm, torch.nn.Identity()
        found = torch.cat(self.run()).flatten(0, 1).float().numpy()
        self.model.norm = norm
        return found


class LlamaCpp:
    """llama.cpp's prefill: several contexts as sequences of one batch, of which only the last token has an output."""

    def __init__(self, options, ids, at_once=8):
        llama_cpp.llama_log_set(quiet_log, None)
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(os.fsencode(options.model), llama_cpp.llama_model_default_params())
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = at_once * LENGTH
        settings.n_seq_max = at_once
        settings.n_threads = settings.n_threads_batch = options.threads
        self.context = llama_cpp.llama_init_from_model(self.model, settings)
        self.ids, self.at_once = ids, at_once

    def turn(self):
        start = time.perf_counter()
        for first in range(0, len(self.ids), self.at_once):
            batch = self.batch(self.ids[first:first + self.at_once])
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
            if llama_cpp.llama_decode(self.context, batch) != 0:
                sys.exit("compare_forward: llama_decode failed")
            llama_cpp.llama_synchronize(self.context)
            llama_cpp.llama_batch_free(batch)
        return self.ids.size / (time.perf_counter() - start)

    @staticmethod
    def batch(contexts):
        batch = llama_cpp.llama_batch_init(contexts.size, 0, 1)
        batch.n_tokens = contexts.size
        for i, token in enumerate(contexts.flatten()):
            batch.token[i], batch.pos[i] = int(token), i % LENGTH
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, i // LENGTH
            batch.logits[i] = i + 1 == contexts.size
        return batch


def distance(ours, theirs):
    """The median over rows of the difference's length, as a part of the row's."""
    return numpy.median(numpy.linalg.norm(ours - theirs, axis=1) / numpy.linalg.norm(ours, axis=1))


def compare(options, folder):
    model = Transformers.load(options.model)
    ids = numpy.random.default_rng(0).integers(0, model.config.vocab_size, (options.contexts, LENGTH))
    some, blocks = options.layer + 1, len(model.layers)
    contestants = {
        ("this project, bf16", some): Ours(options, ids, some - 1, folder),
        ("transformers, bf16", some): Transformers(model, ids, some),
        ("this project, bf16", blocks): Ours(options, ids, blocks - 1, folder),
        ("transformers, bf16", blocks): Transformers(model, ids, blocks),
        ("llama.cpp, its own kernels for the file's weights", blocks): LlamaCpp(options, ids),
    }
    speeds = {key: [] for key in contestants}
    shares = []
    for turn in range(1 + options.rounds):  # the first fills caches
        for key, contestant in contestants.items():
            speed = contestant.turn()
            print(f"round {turn}: {key[0]}, {key[1]} blocks: {speed:.0f} tokens/s", file=sys.stderr, flush=True)
            if turn > 0:
                speeds[key].append(speed)
        if turn > 0:
            shares.append(contestants["this project, bf16", some].share)
    print(f"\n{options.contexts} contexts of {LENGTH} tokens, {options.threads} threads, {options.rounds} rounds; ours through "
          f"{some} blocks at {statistics.median(shares):.0f} % of the bfloat16 product's peak\n")
    print("| forward | blocks | tokens/s | ours over it, in the same round |\n|---|---|---|---|")
    for (name, count), values in speeds.items():
        times = statistics.median(ours / other for ours, other in zip(speeds["this project, bf16", count], values))
        print(f"| {name} | {count} | {statistics.median(values):.0f} | {times:.2f} |", flush=True)
    for count in (some, blocks):
        far = distance(contestants["this project, bf16", count].activations(),
                       contestants["transformers, bf16", count].activations())
        print(f"\nafter {count} blocks transformers' activations differ from ours by {100 * far:.2f} % (median row)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(CACHE / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"), help="a GGUF file")
    parser.add_argument("--layer", type=int, default=22, help="the last block of the shorter forward, counted from 0")
    parser.add_argument("--contexts", type=int, default=32, help="of 64 tokens, for a turn")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--harvest", default=str(ROOT / "build" / "bin" / "harvest"), help="our program")
    parser.add_argument("--venv", default=str(CACHE / "compare_forward"), help="folder of the virtual environment")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not pathlib.Path(options.harvest).exists():
        sys.exit(f"compare_forward: no {options.harvest}; build it: cmake --build build --target harvest")
    if not options.inside:
        enter_environment(pathlib.Path(options.venv))
    global quiet_log
    quiet_log = llama_cpp.llama_log_callback(lambda *_: None)
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
    with tempfile.TemporaryDirectory() as folder:
        compare(options, pathlib.Path(folder))


if __name__ == "__main__":
    main()
