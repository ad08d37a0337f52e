#!/usr/bin/env python3
"""Does `convert` write what the other projects' own loaders read, and read what they write?

    tests/interchange/compare_peers.py --data FOLDER [--bin build/bin] [--venv FOLDER]

FOLDER is what `harvest` made (train, validation, test): on its rows an autoencoder of every activation is trained for a
moment, written in every format that has the activation, loaded by the peer and run on 2,000 test rows; its latents and
reconstructions are held against ours. Then the peers' own classes, with random weights and conventions that ours does
not have, save themselves, are read, and compared the other way around. torch, sae-lens and dictionary-learning come from
PyPI into a virtual environment of their own, once. sparsify is not on PyPI in a form that installs everywhere, OpenAI's
sparse_autoencoder is not there at all: the few lines of theirs that matter are written down here, under their names.

Exit codes: 0 all agree; 1 something does not.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
INSIDE = "--inside" in sys.argv  # the virtual environment, which alone has what follows
if INSIDE:
    import warnings

    warnings.filterwarnings("ignore")
    import numpy
    import torch

    from stored_rows import normalised, read_safetensors, stored_rows

# name: (options of train, formats that have it)
TRAINED = {
    "topk": (["--k", "16"], ["saelens", "sparsify", "dictionary-learning", "openai"]),
    "multi-topk": (["--k", "16"], ["saelens", "sparsify", "dictionary-learning", "openai"]),
    "batch-topk": (["--k", "16"], ["saelens", "dictionary-learning"]),
    "matryoshka": (["--k", "16"], ["saelens", "dictionary-learning"]),
    "relu": (["--penalty", "0.02"], ["saelens", "dictionary-learning"]),
    "gated": (["--penalty", "0.02"], ["saelens", "dictionary-learning"]),
    "jumprelu": (["--penalty", "0.001"], ["saelens", "dictionary-learning"]),
}


def enter_environment(folder, script=__file__):
    """Installs what is missing and starts the script again inside the environment."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import torch, sae_lens"], capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "sae-lens"], check=True)
    found = subprocess.run([python, "-m", "pip", "show", "--quiet", "dictionary-learning"], capture_output=True)
    if found.returncode != 0:  # without nnsight and what else only its buffers of activations need
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "dictionary-learning"], check=True)
    os.execv(python, [str(python), script, *sys.argv[1:], "--inside"])


def dictionary_learning():
    """The package's classes of dictionaries, without its __init__, which imports a framework for language models."""
    import types

    places = {}
    if "dictionary_learning" not in sys.modules:
        folder = pathlib.Path(importlib.util.find_spec("dictionary_learning").submodule_search_locations[0])
        places = {"dictionary_learning": folder, "dictionary_learning.trainers": folder / "trainers"}
    for name, path in places.items():
        module = types.ModuleType(name)
        module.__path__ = [str(path)]
        sys.modules[name] = module
    from dictionary_learning import dictionary
    from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k

    classes = {name: getattr(dictionary, name) for name in ("AutoEncoder", "AutoEncoderNew", "GatedAutoEncoder", "JumpReluAutoEncoder")}
    classes["AutoEncoderTopK"] = top_k.AutoEncoderTopK
    classes["BatchTopKSAE"] = batch_top_k.BatchTopKSAE
    classes["MatryoshkaBatchTopKSAE"] = matryoshka_batch_top_k.MatryoshkaBatchTopKSAE
    return classes


class Sparsify:
    """SparseCoder's encode and decode (EleutherAI/sparsify 1.3.0), on the tensors of its folder."""

    def __init__(self, folder):
        from safetensors.torch import load_file

        self.t = load_file(folder / "sae.safetensors")
        self.k = json.loads((folder / "cfg.json").read_text())["k"]

    def encode(self, x):
        pre = torch.relu((x - self.t["b_dec"]) @ self.t["encoder.weight"].T + self.t["encoder.bias"])
        values, index = pre.topk(self.k, sorted=False)
        return torch.zeros_like(pre).scatter_(-1, index, values)

    def decode(self, z):
        return z @ self.t["W_dec"] + self.t["b_dec"]


class OpenAI:
    """Autoencoder.from_state_dict, encode and decode (openai/sparse_autoencoder): layer norm with TopK alone."""

    def __init__(self, path):
        self.t = torch.load(path, weights_only=True)
        self.topk = self.t.pop("activation") == "TopK"
        self.k = self.t.pop("activation_state_dict")["k"] if self.topk else 0

    def encode(self, x):
        if self.topk:
            self.mean = x.mean(-1, keepdim=True)
            self.deviation = (x - self.mean).std(-1, keepdim=True)
            x = (x - self.mean) / (self.deviation + 1e-5)
        pre = (x - self.t["pre_bias"]) @ self.t["encoder.weight"].T + self.t["latent_bias"]
        if not self.topk:
            return torch.relu(pre)
        values, index = pre.topk(self.k)
        return torch.zeros_like(pre).scatter_(-1, index, torch.relu(values))

    def decode(self, z):
        y = z @ self.t["decoder.weight"].T + self.t["pre_bias"]
        return y * self.deviation + self.mean if self.topk else y


class Comparison:
    def __init__(self, arguments, folder):
        self.bin, self.folder, self.failures = arguments.bin, folder, 0
        self.rows = stored_rows(arguments.data / "test", 2000)
        numpy.save(folder / "rows.npy", self.rows)
        self.classes = dictionary_learning()

    def run(self, program, *options):
        done = subprocess.run([self.bin / program, *map(str, options)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{program} {' '.join(map(str, options))}:\n{done.stderr}")

    def ours(self, sae, rows="rows.npy"):
        """Latents by `encode`, reconstructions by the formula of models/README.md; raw rows in and out."""
        out = self.folder / "latents.safetensors"
        self.run("encode", "--sae", sae, "--import", self.folder / rows, "--output", out, "--overwrite", "--show", 0)
        t, _ = read_safetensors(out)
        weights, metadata = read_safetensors(sae)
        z = numpy.zeros((len(t["offsets"]) - 1, len(weights["encoder"])))
        row = numpy.repeat(numpy.arange(len(z)), numpy.diff(t["offsets"]))
        z[row, t["index"]] = t["values"]
        y = z @ weights["decoder"].astype(numpy.float64) + weights["pre_bias"]
        return z, y * t["input_norm"][:, None] + t["input_mean"][:, None], metadata["input_normalisation"]

    def compare(self, name, z, y, theirs_z, theirs_y):
        """A value at the very edge of the choice may fall on either side: such entries must be rare, and their rows do not
        count for the reconstruction."""
        scale = numpy.abs(z).max()
        both = (z > 0) & (theirs_z > 0)
        one = numpy.count_nonzero((z > 0) != (theirs_z > 0)) / max(1, numpy.count_nonzero(z))
        worst = numpy.abs(z - theirs_z)[both].max() / scale if both.any() else numpy.inf
        same = ((z > 0) == (theirs_z > 0)).all(1)
        error = numpy.linalg.norm((y - theirs_y)[same]) / numpy.linalg.norm((y - y.mean(0))[same])
        good = worst < 1e-4 and one < 1e-3 and error < 1e-4
        self.failures += not good
        print(f"{name:44} L0 {numpy.count_nonzero(z) / len(z):6.1f}  latents {worst:.1e}  in one only {one:.1e}  "
              f"reconstruction {error:.1e}  {'' if good else 'DIFFERS'}", flush=True)

    def loaded(self, form, path):
        if form == "saelens":
            from sae_lens import SAE

            return SAE.load_from_disk(path)
        if form == "sparsify":
            return Sparsify(path)
        if form == "openai":
            return OpenAI(path)
        config = json.loads((path / "config.json").read_text())["trainer"]
        kind = self.classes[config["dict_class"]]
        return kind.from_pretrained(path / "ae.pt", **({"k": config["k"]} if "k" in config else {}))

    def write(self, activation, options, formats, data):
        run = self.folder / activation
        self.run("train", "--data", data, "--output", run, "--activation", activation, *options, "--latents", 512,
                 "--tokens", 20000, "--batch-size", 512, "--lr", "2e-3", "--seed", 3)
        sae = run / "autoencoder.safetensors"
        z, y, how = self.ours(sae)
        seen, mean, norm = normalised(self.rows, how)
        for form in formats:
            path = self.folder / f"{activation}-{form}{'.pt' if form == 'openai' else ''}"
            self.run("convert", "--sae", sae, "--format", form, "--output", path)
            raw = form in ("saelens", "openai")  # these normalise by themselves
            x = torch.tensor(self.rows if raw else seen, dtype=torch.float32)
            with torch.no_grad():
                peer = self.loaded(form, path)
                theirs_z = peer.encode(x)
                theirs_y = peer.decode(theirs_z).double().numpy()
            self.compare(f"{activation} written for {form}", z, y, theirs_z.double().numpy(),
                         theirs_y if raw else theirs_y * norm + mean)

    def read(self, name, path, peer, rows):
        numpy.save(self.folder / "theirs.npy", rows)
        sae = self.folder / f"{name}.safetensors"
        self.run("convert", "--sae", path, "--format", "sae.cpp", "--output", sae)
        z, y, _ = self.ours(sae, "theirs.npy")
        with torch.no_grad():
            theirs_z = peer.encode(torch.tensor(rows))
            theirs_y = peer.decode(theirs_z)
        self.compare(f"{name} read", z, y, theirs_z.double().numpy(), theirs_y.double().numpy())

    def randomise(self, module):
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                scale = 0.3 if parameter.ndim == 1 else 1.0
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator) / max(1, parameter.shape[0]) ** (0.5 if parameter.ndim == 2 else 0))
                if name == "threshold":
                    parameter.abs_()
        return module

    def read_saelens(self):
        from sae_lens import SAE

        width = self.rows.shape[1]
        small = (self.rows / numpy.abs(self.rows).mean()).astype(numpy.float32)
        common = {"d_in": width, "d_sae": 300, "dtype": "float32", "device": "cpu"}
        for name, extra in {
            "saelens-standard": {"architecture": "standard", "apply_b_dec_to_input": False, "normalize_activations": "layer_norm"},
            "saelens-topk": {"architecture": "topk", "k": 9, "rescale_acts_by_decoder_norm": True, "normalize_activations": "none"},
            "saelens-topk-rescaled": {"architecture": "topk", "k": 9, "normalize_activations": "constant_norm_rescale"},
            "saelens-gated": {"architecture": "gated", "apply_b_dec_to_input": False},
            "saelens-jumprelu": {"architecture": "jumprelu", "normalize_activations": "layer_norm"},
        }.items():
            sae = self.randomise(SAE.from_dict({**common, "metadata": {}, **extra}))
            sae.save_model(self.folder / name)
            self.read(name, self.folder / name, sae, small)

    def read_dictionary_learning(self):
        width = self.rows.shape[1]
        small = (self.rows / numpy.abs(self.rows).mean()).astype(numpy.float32)
        for name, kind in self.classes.items():
            topk = "TopK" in name
            arguments = [width, 300] + ([9] if topk else []) + ([[100, 200]] if name.startswith("Matryoshka") else [])
            module = kind(*arguments)  # keeps the transposed layout of its encoder
            with torch.no_grad():
                for parameter in module.parameters():
                    if parameter.ndim == 1:
                        parameter.add_(0.1 * torch.rand(parameter.shape))
            if name in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
                module.threshold.fill_(0.5)
            path = self.folder / f"dl-{name}"
            path.mkdir()
            torch.save(module.state_dict(), path / "ae.pt")
            trainer = {"dict_class": name, **({"k": 9} if topk else {})}
            (path / "config.json").write_text(json.dumps({"trainer": trainer}))
            self.read(f"dl-{name}", path, module, small)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "bin")
    parser.add_argument("--venv", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "sae.cpp" / "peers")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not INSIDE:
        enter_environment(arguments.venv)
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments, pathlib.Path(folder))
        for activation, (options, formats) in TRAINED.items():
            comparison.write(activation, options, formats, arguments.data)
        comparison.read_saelens()
        comparison.read_dictionary_learning()
    print(f"{comparison.failures} of the comparisons differ")
    sys.exit(1 if comparison.failures else 0)


if __name__ == "__main__":
    main()
