"""Writes torch_state_dict.pt: what torch.save makes of tensors as autoencoders keep them, small enough to read by eye.

    python3 tests/golden/torch_state_dict.py     (torch 2.15.0 made the file here)
"""
import pathlib

import torch

base = torch.arange(15, dtype=torch.float32).reshape(3, 5)


class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(3, 5)
        self.encoder.weight = torch.nn.Parameter(base.clone().T)  # strides (1, 5)
        self.encoder.bias = torch.nn.Parameter(torch.tensor([0.5, -1, 2, 3, 4]))
        self.register_buffer("k", torch.tensor(7, dtype=torch.int))
        self.register_buffer("group_sizes", torch.tensor([2, 3]))


state = Module().state_dict()  # an OrderedDict with _metadata
state["half"] = base.half()
state["bfloat16"] = base.bfloat16()
state["double"] = base.double() / 3
state["view"] = base[1:, ::2]  # offset 5, strides (5, 2)
state["parameter"] = torch.nn.Parameter(base)
state["bytes"] = torch.tensor([1, 2], dtype=torch.uint8)
state["activation"] = "TopK"
state["activation_state_dict"] = {"k": 4, "postact_fn": "ReLU"}
state["large"] = 2**40
state["negative"] = -5
state["rate"] = 0.25
state["nothing"] = None
torch.save(state, pathlib.Path(__file__).parent / "torch_state_dict.pt")
