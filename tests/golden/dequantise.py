#!/usr/bin/env python3
"""Makes dequantise.safetensors: random blocks of each storage type and what the `gguf` package makes of them.

    pip install gguf==0.19.0 safetensors numpy && tests/golden/dequantise.py

For a type T, `T.bytes` (U8) are whole blocks as a file holds them and `T.values` (F32) their elements. Scales and
offsets are halves of either sign over the whole range: zeros, denormal, ordinary and the largest numbers.
"""
import pathlib

import gguf
import numpy as np
from safetensors.numpy import save_file

# Where the halves of a block lie; everything else is random bytes.
HALVES = {
    "F16": [0], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}


def halves(random, count):
    """Bits of finite halves: a quarter of them denormal, some zero, some the largest, of either sign."""
    bits = random.integers(0, 0x7C00, count, dtype=np.uint16)
    denormal = random.random(count) < 0.25
    bits[denormal] &= 0x03FF
    bits[random.random(count) < 0.05] = 0
    bits[random.random(count) < 0.05] = 0x7BFF
    return bits | (random.integers(0, 2, count, dtype=np.uint16) << 15)


def main():
    random = np.random.default_rng(20261124)
    tensors = {}
    for name in ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]:
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        count = {1: 512, 32: 32, 256: 8}[elements]
        blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
        if name == "BF16":  # no NaN: its bits are nobody's promise
            exponent_not_full = blocks[:, 1] & 0x7F == 0x7F
            blocks[exponent_not_full, 0] &= 0x7F
        for at in HALVES.get(name, []):
            blocks[:, at:at + 2] = halves(random, count).view(np.uint8).reshape(count, 2)
        values = gguf.quants.dequantize(blocks.reshape(-1), kind) if name != "F16" else blocks.view(np.float16)
        tensors[name + ".bytes"] = blocks.reshape(-1)
        tensors[name + ".values"] = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        assert np.isfinite(tensors[name + ".values"]).all(), name
        assert tensors[name + ".values"].size == count * elements
    save_file(tensors, pathlib.Path(__file__).with_name("dequantise.safetensors"))


main()
