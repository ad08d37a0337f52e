#!/usr/bin/env python3
"""Writes inputs of 1 to 4 MB for the fuzz targets, plain ones and ones made to take memory: OUTPUT/TARGET/NAME.

    tests/fuzz/large_inputs.py OUTPUT
"""
import itertools
import json
import pathlib
import string
import struct
import sys

MB = 1 << 20


def names(count):
    """Distinct names, the shortest first."""
    letters = string.ascii_letters + string.digits
    every = itertools.chain.from_iterable(itertools.product(letters, repeat=n) for n in itertools.count(1))
    return ["".join(next(every)) for _ in range(count)]


def safetensors(header):
    header = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header)) + header


def hostile_json(key):
    """Values of `key` that cost more than their bytes."""
    return {
        "zeros": b'{"%s":[0' % key + b",0" * MB + b"]}",
        "objects": b'{"%s":[{}' % key + b",{}" * MB + b"]}",
        "nested": b'{"%s":' % key + b"[" * MB,
        "text": b'{"%s":"' % key + b"x" * (MB + MB // 16) + b'"}',
        "digits": b'{"%s":' % key + b"1" * (MB + MB // 16) + b"}",
        "blanks": b'{"%s":' % key + b" " * (MB + MB // 16) + b"1}",
        "keys": b"{" + b",".join(b'"%s":1' % name.encode() for name in names(200000)) + b"}",
    }


def safetensors_inputs():
    tensor = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    yield "tensors", safetensors({name: tensor for name in names(40000)})
    yield "long_names", safetensors({"model.layers.%d.self_attn.q_proj.weight" % i: tensor for i in range(20000)})
    yield "metadata", safetensors({"__metadata__": {name: "" for name in names(200000)}})
    for name, text in hostile_json(b"a").items():
        yield name, safetensors(text)


def tokenizer(vocabulary, merges):
    byte_level = {"type": "ByteLevel", "add_prefix_space": False}
    model = {"type": "BPE", "vocab": vocabulary, "merges": merges}
    return json.dumps({"pre_tokenizer": byte_level, "model": model}, separators=(",", ":")).encode()


def tokenizer_inputs():
    short = names(100000)
    yield "tokens", tokenizer({name: i for i, name in enumerate(short)}, ["a b"])
    pairs = [a + b for a in short[:62] for b in short[:62]]
    merges = [f"{pair[0]} {pair[1]}" for pair in pairs]
    yield "merges", tokenizer({name: i for i, name in enumerate(short[:62] + pairs)}, merges * 40)
    added = [{"id": i, "content": name} for i, name in enumerate(short)]
    yield "added", json.dumps({"added_tokens": added, "model": {}}, separators=(",", ":")).encode()
    for name, text in hostile_json(b"normalizer").items():
        yield name, text


def gguf_text(text):
    return struct.pack("<Q", len(text)) + text.encode()


def gguf(entries, tensors, data=b""):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def gguf_inputs():
    unknown_type = 99  # of which no length is known, so that it need not have data
    yield "tensors", gguf([], [gguf_text(name) + struct.pack("<IQIQ", 1, 1, unknown_type, 0) for name in names(40000)])
    yield "keys", gguf([gguf_text(name) + struct.pack("<IB", 7, 1) for name in names(100000)], [])
    short = names(100000)
    def texts(key, all_texts):
        return gguf_text(key) + struct.pack("<IIQ", 9, 8, len(all_texts)) + b"".join(map(gguf_text, all_texts))
    scores = gguf_text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, len(short)) + bytes(4 * len(short))
    def model(name):
        return gguf_text("tokenizer.ggml.model") + struct.pack("<I", 8) + gguf_text(name)
    yield "scores", gguf([model("llama"), texts("tokenizer.ggml.tokens", short), scores], [])
    pre = gguf_text("tokenizer.ggml.pre") + struct.pack("<I", 8) + gguf_text("llama-bpe")
    pairs = [a + b for a in short[:62] for b in short[:62]]
    yield "merges", gguf([model("gpt2"), pre, texts("tokenizer.ggml.tokens", short[:62] + pairs),
                          texts("tokenizer.ggml.merges", [f"{pair[0]} {pair[1]}" for pair in pairs] * 40)], [])
    yield "q4_0", gguf([], [gguf_text("t") + struct.pack("<IQIQ", 1, 32 * 100000, 2, 0)], bytes(18 * 100000))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    inputs = {"safetensors": safetensors_inputs(), "tokenizer": tokenizer_inputs(), "gguf": gguf_inputs(),
              "json": hostile_json(b"a").items(),
              "pickle": [("lists", b"]" * (2**20 + 1))]}  # empty lists, one more than a table that doubles has room for
    for target, files in inputs.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files:
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
