// Every architecture that is supported. To add one: a table of its names, a function that describes it, a row in the
// list at the end; and a model for it in tests/golden/make_models.py and tests/models/architectures_test.cpp.
#include "models/language_model/architectures.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/error.h"
#include "models/language_model/form_settings.h"

namespace sae {
namespace {

// --- gpt2 ------------------------------------------------------------------------------------------------------------

constexpr NamePair gpt2_settings[] = {{"block_count", "n_layer"},
                                      {"embedding_length", "n_embd"},
                                      {"context_length", "n_positions"},
                                      {"feed_forward_length", "n_inner"},
                                      {"attention.head_count", "n_head"},
                                      {"attention.layer_norm_epsilon", "layer_norm_epsilon"},
                                      {"vocab_size", "vocab_size"},
                                      {"activation", "activation_function"},
                                      {"scaled_by_layer", "scale_attn_by_inverse_layer_idx"},
                                      {"scaled", "scale_attn_weights"},
                                      {"tied", "tie_word_embeddings"}};
constexpr NamePair gpt2_tensors[] = {
    {"token_embd", "wte"},  {"position_embd", "wpe"},    {"output_norm", "ln_f"},        {"output", "lm_head"},
    {"attn_norm", "ln_1"},  {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"}, {"ffn_norm", "ln_2"},
    {"ffn_up", "mlp.c_fc"}, {"ffn_down", "mlp.c_proj"}};
constexpr std::string_view gpt2_constants[] = {".attn.bias", ".attn.masked_bias"};

ModelForm gpt2(const ModelFile& file) {
  ModelForm form = common_form(file, NormKind::layer, true);
  form.feed_forward = activation(file, FeedForwardKind::gelu_tanh);
  form.learned_positions = true;
  form.query_key_value_bias = form.attention_output_bias = form.feed_forward_bias = true;
  form.fused_query_key_value = true;
  form.transposed = file.format() == ModelFile::Format::hugging_face;
  refuse_if_set(file, "scaled_by_layer");
  CHECK(file.boolean_or("scaled", true), "{} is false, which is not supported", file.where("scaled"));
  return form;
}

// --- gptneox: Pythia -------------------------------------------------------------------------------------------------

constexpr NamePair gptneox_settings[] = {{"block_count", "num_hidden_layers"},
                                         {"embedding_length", "hidden_size"},
                                         {"context_length", "max_position_embeddings"},
                                         {"feed_forward_length", "intermediate_size"},
                                         {"attention.head_count", "num_attention_heads"},
                                         {"attention.layer_norm_epsilon", "layer_norm_eps"},
                                         {"use_parallel_residual", "use_parallel_residual"},
                                         {"rope.freq_base", "rotary_emb_base"},
                                         {"rope.freq_base", "rope_theta"},
                                         {"rope.freq_base", "rope_parameters.rope_theta"},
                                         {"rotary_part", "rotary_pct"},
                                         {"rotary_part", "partial_rotary_factor"},
                                         {"rotary_part", "rope_parameters.partial_rotary_factor"},
                                         {"rope.scaling.type", "rope_scaling.rope_type"},
                                         {"rope.scaling.type", "rope_scaling.type"},
                                         {"rope.scaling.type", "rope_parameters.rope_type"},
                                         {"rope.scaling.factor", "rope_scaling.factor"},
                                         {"rope.scaling.factor", "rope_parameters.factor"},
                                         {"vocab_size", "vocab_size"},
                                         {"activation", "hidden_act"},
                                         {"attention_bias", "attention_bias"},
                                         {"tied", "tie_word_embeddings"}};
constexpr NamePair gptneox_tensors[] = {{"token_embd", "embed_in"},
                                        {"output_norm", "final_layer_norm"},
                                        {"output", "embed_out"},
                                        {"attn_norm", "input_layernorm"},
                                        {"attn_qkv", "attention.query_key_value"},
                                        {"attn_output", "attention.dense"},
                                        {"ffn_norm", "post_attention_layernorm"},
                                        {"ffn_up", "mlp.dense_h_to_4h"},
                                        {"ffn_down", "mlp.dense_4h_to_h"}};
constexpr std::string_view gptneox_constants[] = {".attention.bias", ".attention.masked_bias",
                                                  ".attention.rotary_emb.inv_freq"};

ModelForm gptneox(const ModelFile& file) {
  ModelForm form = common_form(file, NormKind::layer);
  form.feed_forward = activation(file, FeedForwardKind::gelu);
  form.parallel = file.boolean_or("use_parallel_residual", true);
  const int64_t head_dim = form.attention.head_dim;
  const double part = file.number_or("rotary_part", 0.25);
  CHECK(part > 0 && part <= 1, "{} is {}; expected a part of 1", file.where("rotary_part"), part);
  const auto rotated = static_cast<int64_t>(part * static_cast<double>(head_dim));
  const int64_t dimensions = file.size_or("rope.dimension_count", rotated);
  CHECK(dimensions <= head_dim, "{} is {}; a head has {} elements", file.where("rope.dimension_count"), dimensions,
        head_dim);
  form.rotary = {rotary_of(file, dimensions), RotaryPairs::halves};
  form.query_key_value_bias = form.attention_output_bias = file.boolean_or("attention_bias", true);
  form.feed_forward_bias = true;
  form.fused_query_key_value = true;
  form.interleaved_heads = file.format() == ModelFile::Format::hugging_face;
  return form;
}

// --- llama and its relatives -----------------------------------------------------------------------------------------

constexpr NamePair llama_settings[] = {
    {"block_count", "num_hidden_layers"},
    {"embedding_length", "hidden_size"},
    {"context_length", "max_position_embeddings"},
    {"feed_forward_length", "intermediate_size"},
    {"attention.head_count", "num_attention_heads"},
    {"attention.head_count_kv", "num_key_value_heads"},
    {"attention.key_length", "head_dim"},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    {"attention.sliding_window", "sliding_window"},
    {"rope.freq_base", "rope_theta"},
    {"rope.freq_base", "rope_parameters.rope_theta"},
    {"rope.freq_base", "rope_parameters.full_attention.rope_theta"},
    {"rope.scaling.type", "rope_scaling.rope_type"},
    {"rope.scaling.type", "rope_scaling.type"},
    {"rope.scaling.type", "rope_parameters.rope_type"},
    {"rope.scaling.type", "rope_parameters.full_attention.rope_type"},
    {"rope.scaling.factor", "rope_scaling.factor"},
    {"rope.scaling.factor", "rope_parameters.factor"},
    {"rope.scaling.factor", "rope_parameters.full_attention.factor"},
    {"rope.scaling.low_freq_factor", "rope_scaling.low_freq_factor"},
    {"rope.scaling.low_freq_factor", "rope_parameters.low_freq_factor"},
    {"rope.scaling.high_freq_factor", "rope_scaling.high_freq_factor"},
    {"rope.scaling.high_freq_factor", "rope_parameters.high_freq_factor"},
    {"rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings"},
    {"rope.scaling.original_context_length", "rope_parameters.original_max_position_embeddings"},
    {"window_rope_base", "rope_local_base_freq"},
    {"window_rope_base", "rope_parameters.sliding_attention.rope_theta"},
    {"layer_types", "layer_types"},
    {"window_pattern", "sliding_window_pattern"},
    {"window_pattern", "_sliding_window_pattern"},
    {"windowed", "use_sliding_window"},
    {"attention_factor", "query_pre_attn_scalar"},
    {"attention_softcap", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
    {"vocab_size", "vocab_size"},
    {"activation", "hidden_act"},
    {"activation", "hidden_activation"},
    {"attention_bias", "attention_bias"},
    {"feed_forward_bias", "mlp_bias"},
    {"tied", "tie_word_embeddings"}};
constexpr NamePair llama_tensors[] = {{"token_embd", "embed_tokens"},
                                      {"output_norm", "norm"},
                                      {"output", "lm_head"},
                                      {"attn_norm", "input_layernorm"},
                                      {"attn_q", "self_attn.q_proj"},
                                      {"attn_k", "self_attn.k_proj"},
                                      {"attn_v", "self_attn.v_proj"},
                                      {"attn_output", "self_attn.o_proj"},
                                      {"attn_q_norm", "self_attn.q_norm"},
                                      {"attn_k_norm", "self_attn.k_norm"},
                                      {"ffn_norm", "post_attention_layernorm"},
                                      {"ffn_gate", "mlp.gate_proj"},
                                      {"ffn_up", "mlp.up_proj"},
                                      {"ffn_down", "mlp.down_proj"}};
constexpr std::string_view llama_constants[] = {".rotary_emb.inv_freq"};

/// The whole head is rotated, with one set of frequencies.
void describe_rotary(const ModelFile& file, ModelForm& form, RotaryPairs pairs) {
  const int64_t head_dim = form.attention.head_dim, dimensions = file.size_or("rope.dimension_count", head_dim);
  CHECK(dimensions == head_dim, "{} is {}; only the head size of {} is supported", file.where("rope.dimension_count"),
        dimensions, head_dim);
  form.rotary = {rotary_of(file, dimensions), pairs};
}

/// Llama (Touvron et al. 2023), SmolLM2, TinyLlama. GGUF stores the rows of queries and keys such that rotary pairs are
/// neighbours.
ModelForm llama(const ModelFile& file) {
  ModelForm form = common_form(file, NormKind::rms);
  form.feed_forward = activation(file, FeedForwardKind::swiglu);
  describe_rotary(file, form, file.format() == ModelFile::Format::gguf ? RotaryPairs::neighbours : RotaryPairs::halves);
  const bool biased = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  form.query_key_value_bias = file.boolean_or("attention_bias", biased);
  form.attention_output_bias = file.boolean_or("attention_bias", file.find_tensor("blk.0.attn_output.bias") != nullptr);
  form.feed_forward_bias = file.boolean_or("feed_forward_bias", file.find_tensor("blk.0.ffn_up.bias") != nullptr);
  return form;
}

/// Qwen 2 and 2.5: llama with biases of queries, keys and values.
ModelForm qwen2(const ModelFile& file) {
  ModelForm form = common_form(file, NormKind::rms);
  form.feed_forward = activation(file, FeedForwardKind::swiglu);
  describe_rotary(file, form, RotaryPairs::halves);
  form.query_key_value_bias = true;
  refuse_if_set(file, "windowed");
  return form;
}

/// Qwen 3: no biases, but norms of queries and keys.
ModelForm qwen3(const ModelFile& file) {
  ModelForm form = common_form(file, NormKind::rms);
  form.feed_forward = activation(file, FeedForwardKind::swiglu);
  describe_rotary(file, form, RotaryPairs::halves);
  form.query_key_norm = true;
  refuse_if_set(file, "windowed");
  refuse_if_set(file, "attention_bias");
  return form;
}

// --- gemma3 ----------------------------------------------------------------------------------------------------------

constexpr NamePair gemma3_tensors[] = {{"token_embd", "embed_tokens"},
                                       {"output_norm", "norm"},
                                       {"output", "lm_head"},
                                       {"attn_norm", "input_layernorm"},
                                       {"attn_q", "self_attn.q_proj"},
                                       {"attn_k", "self_attn.k_proj"},
                                       {"attn_v", "self_attn.v_proj"},
                                       {"attn_output", "self_attn.o_proj"},
                                       {"attn_q_norm", "self_attn.q_norm"},
                                       {"attn_k_norm", "self_attn.k_norm"},
                                       {"post_attention_norm", "post_attention_layernorm"},
                                       {"ffn_norm", "pre_feedforward_layernorm"},
                                       {"ffn_gate", "mlp.gate_proj"},
                                       {"ffn_up", "mlp.up_proj"},
                                       {"ffn_down", "mlp.down_proj"},
                                       {"post_ffw_norm", "post_feedforward_layernorm"}};

/// Which layers see a window only: named one by one, or all but each pattern-th.
std::vector<bool> windowed_layers(const ModelFile& file, int64_t layers) {
  std::vector<bool> windowed;
  if (file.has("layer_types")) {
    for (const std::string& type : file.texts("layer_types")) {
      CHECK(type == "sliding_attention" || type == "full_attention", "{} has a '{}', which is not supported",
            file.where("layer_types"), type);
      windowed.push_back(type == "sliding_attention");
    }
    CHECK(static_cast<int64_t>(windowed.size()) == layers, "{} has {} entries for {} layers", file.where("layer_types"),
          windowed.size(), layers);
    return windowed;
  }
  const int64_t pattern = file.size_or("window_pattern", 6);
  for (int64_t layer = 0; layer < layers; ++layer) windowed.push_back((layer + 1) % pattern != 0);
  return windowed;
}

/// Gemma 3 (text). Hugging Face stores the gains of its norms less one. Layers that see a window turn by frequencies of
/// their own, without scaling.
ModelForm gemma3(const ModelFile& file) {
  ModelForm form = common_form(file, NormKind::rms, true);
  form.feed_forward = activation(file, FeedForwardKind::geglu_tanh);
  describe_rotary(file, form, RotaryPairs::halves);
  form.windowed = windowed_layers(file, form.sizes.layers);
  form.attention.window = file.size("attention.sliding_window");
  form.window_rotary = {rotary_frequencies(form.attention.head_dim, file.number_or("window_rope_base", 10000)),
                        RotaryPairs::halves};
  // GGUF does not say so, but the largest of these models, of 62 layers, scales by the width that a head would have
  const bool largest = file.format() == ModelFile::Format::gguf && form.sizes.layers == 62;
  const int64_t usual = largest ? form.sizes.width / form.attention.heads : form.attention.head_dim;
  const double factor = file.number_or("attention_factor", static_cast<double>(usual));
  CHECK(factor > 0, "{} is {}; expected a number above 0", file.where("attention_factor"), factor);
  form.attention.scale = 1 / std::sqrt(factor);
  form.query_key_norm = form.output_norms = true;
  form.embedding_scale = std::sqrt(static_cast<double>(form.sizes.width));
  form.gain_offset = file.format() == ModelFile::Format::hugging_face ? 1 : 0;
  for (const char* setting : {"attention_softcap", "final_logit_softcapping"}) {
    CHECK(!file.has(setting), "{} is set, which is not supported", file.where(setting));
  }
  refuse_if_set(file, "attention_bias");
  return form;
}

// --- the list --------------------------------------------------------------------------------------------------------

const Architecture architectures[] = {
    {"gpt2", "gpt2", "transformer", "h", gpt2_settings, gpt2_tensors, gpt2_constants, gpt2},
    {"llama", "llama", "model", "layers", llama_settings, llama_tensors, llama_constants, llama},
    {"gptneox", "gpt_neox", "gpt_neox", "layers", gptneox_settings, gptneox_tensors, gptneox_constants, gptneox},
    {"qwen2", "qwen2", "model", "layers", llama_settings, llama_tensors, llama_constants, qwen2},
    {"qwen3", "qwen3", "model", "layers", llama_settings, llama_tensors, llama_constants, qwen3},
    {"gemma3", "gemma3_text", "model", "layers", llama_settings, gemma3_tensors, llama_constants, gemma3},
};

}  // namespace

const Architecture& find_architecture(ModelFile::Format format, std::string_view name, std::string_view place) {
  std::string supported;
  for (const Architecture& one : architectures) {
    const std::string_view known = format == ModelFile::Format::gguf ? one.gguf : one.hugging_face;
    if (known == name) return one;
    supported += fmt::format("{}{}", supported.empty() ? "" : ", ", known);
  }
  fail("{}: architecture '{}' is not supported; supported: {}", place, name, supported);
}

}  // namespace sae
