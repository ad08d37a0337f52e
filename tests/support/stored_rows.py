"""Reads the rows of one split that `harvest` stored, and autoencoders as `train` saves them, as NumPy arrays."""
import json
import pathlib
import struct

import numpy


def stored_rows(folder, limit, skip_positions=1, longest=10):
    """At most `limit` rows, without the first positions of contexts and rows above `longest` times the median norm."""
    parts = []
    for path in sorted(pathlib.Path(folder).glob("shard-*.act")):
        raw = numpy.memmap(path, numpy.uint8, "r")
        assert raw[:8].tobytes() == b"sae.rows", path
        (length,) = struct.unpack("<I", raw[8:12].tobytes())
        header = json.loads(raw[16 : 16 + length].tobytes())
        assert header["dtype"] == "f32" and header["tokens"] == header["rows"], path
        rows, width = header["rows"], header["width"]
        at = 16 + length
        columns = []
        for kind, count in (("<f4", rows * width), ("<f4", rows), ("<i4", rows), (f"<i{header.get('token_bytes', 2)}", rows), ("<u2", rows)):
            size = numpy.dtype(kind).itemsize * count
            columns.append(raw[at : at + size].view(kind))
            at += (size + 63) // 64 * 64
        values, norms, _, _, positions = columns
        keep = (positions >= skip_positions) & (norms <= longest * numpy.median(norms))
        parts.append(values.reshape(rows, width)[keep][:limit])
        limit -= len(parts[-1])
        if limit <= 0:
            break
    return numpy.concatenate(parts)


def normalised(rows, how):
    """Rows as an autoencoder of that input normalisation sees them, with the mean and norm of each."""
    rows = rows.astype(numpy.float64)
    mean, norm = numpy.zeros((len(rows), 1)), numpy.ones((len(rows), 1))
    if how == "mean over the width removed, unit norm":
        mean = rows.mean(1, keepdims=True)
    if how != "none":
        norm = numpy.linalg.norm(rows - mean, axis=1, keepdims=True)
    return (rows - mean) / norm, mean, norm


def read_safetensors(path):
    """Tensors and metadata of a file with F32, F64, I32 and I64 alone."""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    kinds = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = numpy.frombuffer(raw[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata
