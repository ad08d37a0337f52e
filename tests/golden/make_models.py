"""Makes tests/golden/models: tiny language models with random weights, one or two of each architecture, as a Hugging
Face folder and as a GGUF file, and what transformers computes with them in float32.

    python3 -m venv venv && venv/bin/pip install torch==2.6.0 transformers==4.55.4 gguf==0.19.0
    venv/bin/python tests/golden/make_models.py tests/golden/models

NAME/config.json, model*.safetensors, tokenizer.json: the folder, saved by transformers. NAME/model.gguf: the same
weights, under the names that the gguf package's own table gives them, rearranged as llama.cpp's converter does it.
NAME/expected.safetensors: "tokens" i32 [contexts, length]; for each block b "SITE.b" f32 [contexts * length, width], with
the sites of models/README.md; "logits".
"""

import json
import os
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import save_file

contexts, length, vocabulary, rows = 2, 12, 40, 48  # rows of the embedding: some are padding


def tokenizer():
    """Byte-level byte-pair encoding of small letters, a space and two signs."""
    tokens = ["<|endoftext|>"] + [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["Ġ", ".", ","]
    merges = ["t h", "th e", "Ġ the", "i n", "a n", "Ġ a", "an d", "Ġ and", "e r", "Ġ t"]
    tokens += [merge.replace(" ", "") for merge in merges]
    assert len(tokens) == vocabulary
    return tokens, merges


def write_tokenizer(folder):
    tokens, merges = tokenizer()
    with open(f"{folder}/tokenizer.json", "w") as file:
        json.dump({
            "version": "1.0",
            "added_tokens": [{"id": 0, "content": tokens[0], "special": True}],
            "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
            "post_processor": None,
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges},
        }, file, ensure_ascii=False)


def randomise(model, seed):
    """Weights that make a block do something, all exact in float16 and in bfloat16."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.named_parameters():
        values = torch.randn(tensor.shape, generator=generator)
        if name.endswith("bias"):
            values *= 0.3
        elif tensor.dim() == 1:
            values = values * 0.3 + (0 if model.config.model_type == "gemma3_text" else 1)
        else:
            fan_in = tensor.shape[0] if "c_" in name else tensor.shape[1]
            values *= 0.5 if "emb" in name or "wte" in name or "wpe" in name else 1.5 / fan_in**0.5
        values = values.bfloat16().float()
        values[values.abs() < 2**-14] = 0
        tensor.data.copy_(values)


def expected(model, tokens):
    """What every site of every block holds, and the logits."""
    found, kind = {}, model.config.model_type
    base = getattr(model, model.base_model_prefix, None) or model.model
    blocks = base.h if kind == "gpt2" else base.layers

    def keep(name, take):
        def hook(module, inputs, output):
            value = take(inputs, output)
            found[name] = value.reshape(contexts * length, -1).detach().clone()
        return hook

    first = lambda inputs, output: output[0] if isinstance(output, tuple) else output
    given = lambda inputs, output: inputs[0]
    for i, block in enumerate(blocks):
        attention = {"gpt2": "attn", "gpt_neox": "attention"}.get(kind, "self_attn")
        down = {"gpt2": "c_proj", "gpt_neox": "dense_4h_to_h"}.get(kind, "down_proj")
        norms = {"gpt2": ("ln_1", "ln_2"), "gemma3_text": ("input_layernorm", "pre_feedforward_layernorm")}.get(
            kind, ("input_layernorm", "post_attention_layernorm"))
        outputs = ("post_attention_layernorm", "post_feedforward_layernorm") if kind == "gemma3_text" else (
            attention, "mlp")
        getattr(block, norms[0]).register_forward_hook(keep(f"before.{i}", given))
        getattr(block, norms[1]).register_forward_hook(keep(f"read.{i}", given))
        getattr(block, outputs[0]).register_forward_hook(keep(f"attn_out.{i}", first))
        getattr(block, outputs[1]).register_forward_hook(keep(f"mlp_out.{i}", first))
        getattr(block.mlp, down).register_forward_hook(keep(f"mlp_hidden.{i}", given))
        block.register_forward_hook(keep(f"resid_post.{i}", first))
    with torch.no_grad():
        logits = model(torch.tensor(tokens)).logits
    for i in range(len(blocks)):
        before = found.pop(f"before.{i}")
        found[f"resid_mid.{i}"] = before + found[f"attn_out.{i}"]
        parallel = getattr(model.config, "use_parallel_residual", False)
        assert torch.allclose(found.pop(f"read.{i}"), before if parallel else found[f"resid_mid.{i}"], atol=1e-5)
    found["logits"] = logits.reshape(contexts * length, -1)
    found["tokens"] = torch.tensor(tokens, dtype=torch.int32)
    return {name: value.contiguous() for name, value in found.items()}


def permuted(w, heads):
    """Rows of queries or keys such that rotary pairs are neighbours."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rearranged(kind, name, value, config):
    """A weight as llama.cpp's converter stores it."""
    if kind == "llama" and ("q_proj" in name or "k_proj" in name):
        return permuted(value, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
    if kind == "gpt2" and ("c_" in name) and name.endswith("weight"):
        return value.T
    if kind == "gpt_neox" and "query_key_value" in name:
        heads = config.num_attention_heads
        parts = value.reshape(heads, 3, value.shape[0] // heads // 3, *value.shape[1:])
        return parts.swapaxes(0, 1).reshape(value.shape)
    if kind == "gemma3_text" and "norm" in name:
        return value + 1
    return value


def write_gguf(path, model, name):
    config, kind = model.config, model.config.model_type
    arch = {"gpt_neox": "gptneox", "gemma3_text": "gemma3"}.get(kind, kind)
    writer = gguf.GGUFWriter(path, arch)
    number = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == arch)
    layers = config.num_hidden_layers
    writer.add_name(name)
    writer.add_block_count(layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_head_count(config.num_attention_heads)
    hidden = config.n_inner if kind == "gpt2" else config.intermediate_size
    writer.add_feed_forward_length(hidden if hidden else 4 * config.hidden_size)
    if kind in ("gpt2", "gpt_neox"):
        writer.add_layer_norm_eps(config.layer_norm_epsilon if kind == "gpt2" else config.layer_norm_eps)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_rope_freq_base(config.rope_theta)
    if kind in ("qwen3", "gemma3_text"):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if kind == "gpt_neox":
        writer.add_parallel_residual(config.use_parallel_residual)
        writer.add_rope_dimension_count(int(config.rotary_pct * config.hidden_size // config.num_attention_heads))
    if kind == "gemma3_text":
        writer.add_sliding_window(config.sliding_window)
    scaling = getattr(config, "rope_scaling", None) or {}
    if scaling.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    if scaling.get("rope_type") == "llama3":
        dim = config.hidden_size // config.num_attention_heads
        plain = config.rope_theta ** -(np.arange(0, dim, 2) / dim)
        scaled = model.model.rotary_emb.inv_freq.numpy()
        writer.add_tensor("rope_freqs.weight", (plain / scaled).astype(np.float32))
    tokens, merges = tokenizer()
    kinds = [gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (vocabulary - 1)
    padding = range(vocabulary, rows)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens + [f"[PAD{i}]" for i in padding])
    writer.add_token_types(kinds + [gguf.TokenType.UNUSED for _ in padding])
    writer.add_token_merges(merges)
    names = gguf.get_tensor_name_map(number, layers)
    tied = config.tie_word_embeddings
    for key, value in model.state_dict().items():
        if tied and key == "lm_head.weight" or key.endswith(("inv_freq", ".attn.bias", "masked_bias")):
            continue
        stored = names.get_name(key, try_suffixes=(".weight", ".bias"))
        value = rearranged(kind, key, value.numpy(), config)
        matrix = value.ndim == 2 and "embd" not in stored
        writer.add_tensor(stored, np.ascontiguousarray(value.astype(np.float16 if matrix else np.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(root, name, config, dtype, shard="10MB"):
    folder = f"{root}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    config.vocab_size, config._attn_implementation = rows, "eager"
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, torch_dtype=torch.float32).eval()
    randomise(model, len(name))
    tokens = np.random.default_rng(1).integers(0, vocabulary, (contexts, length)).tolist()
    values = expected(model, tokens)
    save_file(values, f"{folder}/expected.safetensors")
    write_gguf(f"{folder}/model.gguf", model, name)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    os.remove(f"{folder}/generation_config.json")
    write_tokenizer(folder)
    size = sum(os.path.getsize(f"{folder}/{file}") for file in os.listdir(folder))
    assert size < 300_000, f"{name}: {size} bytes"
    print(name, size, float(values["logits"].abs().max()))


def main(root):
    t = transformers
    sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
                 max_position_embeddings=64)
    grouped = dict(sizes, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    gpt2 = dict(n_embd=32, n_layer=2, n_head=2, n_positions=64)
    make(root, "gpt2", t.GPT2Config(**gpt2), torch.float32)
    make(root, "llama", t.LlamaConfig(**dict(sizes, num_key_value_heads=1), rope_theta=500.0), torch.bfloat16, "30KB")
    make(root, "llama3", t.LlamaConfig(
        **sizes, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, rope_scaling=dict(
            rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=32)), torch.float16)
    neox = dict(sizes, rotary_pct=0.25, hidden_act="gelu")
    make(root, "gpt_neox", t.GPTNeoXConfig(**neox), torch.float16)
    make(root, "gpt_neox_sequential", t.GPTNeoXConfig(
        **neox, use_parallel_residual=False, rope_scaling=dict(rope_type="linear", factor=2.0)), torch.bfloat16)
    make(root, "qwen2", t.Qwen2Config(**dict(sizes, num_key_value_heads=1), tie_word_embeddings=True), torch.bfloat16)
    make(root, "qwen3", t.Qwen3Config(**grouped), torch.float32)
    make(root, "gemma3", t.Gemma3TextConfig(
        **dict(sizes, num_hidden_layers=6, num_key_value_heads=1, head_dim=16, intermediate_size=32),
        sliding_window=4, query_pre_attn_scalar=16,
        rope_scaling=dict(rope_type="linear", factor=2.0)), torch.bfloat16)


main(sys.argv[1])
