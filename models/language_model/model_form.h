#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/attention/attention.h"
#include "ops/gelu/gelu.h"
#include "ops/rotary/rotary.h"

namespace sae {

enum class NormKind { rms, layer };  ///< layer has biases

/// Between the products of a feed-forward: an activation of one product's columns, or of a gate's, times another's.
enum class FeedForwardKind { gelu, gelu_tanh, swiglu, geglu_tanh };
constexpr bool is_gated(FeedForwardKind kind) {
  return kind == FeedForwardKind::swiglu || kind == FeedForwardKind::geglu_tanh;
}

struct RotaryForm {
  std::vector<double> frequencies;  ///< of the pairs of a head; none: positions are not rotated
  RotaryPairs pairs = RotaryPairs::halves;
};

/// What every architecture has.
struct ModelSizes {
  std::string architecture;
  int64_t layers = 0, width = 0, feed_forward = 0, vocabulary = 0, context = 0;
  int64_t kv_columns = 0;        ///< of the keys of one position in one layer; the values have as many
  int64_t block_parameters = 0;  ///< weights of one block that a token is multiplied by
};

/// What a model computes. On the residual stream x, with n = norm(x), a block does
///   x += W_o attention(rotary(W_q n, W_k n), W_v n)
///   x += W_down activation(W_up n)             or W_down (activation(W_gate n) * W_up n)
/// the second n of x as it is after the first line, or, where the two are parallel, as before it. Members say what an
/// architecture adds to that.
struct ModelForm {
  ModelSizes sizes;
  AttentionSizes attention{};
  NormKind norm = NormKind::rms;
  double epsilon = 1e-5;
  FeedForwardKind feed_forward = FeedForwardKind::swiglu;
  RotaryForm rotary;

  bool learned_positions = false;  ///< added to the embedding
  bool parallel = false;           ///< attention and feed-forward read the same x
  bool query_key_norm = false;     ///< each head of the queries and of the keys is normalised before it is rotated
  bool output_norms = false;       ///< what attention and feed-forward give is normalised before it is added
  bool tied_output = false;        ///< logits are read off the embedding
  double embedding_scale = 1;
  std::vector<bool> windowed;  ///< of each layer, or empty: does attention see only attention.window positions?
  RotaryForm window_rotary;    ///< of those layers

  // Which products have biases.
  bool query_key_value_bias = false, attention_output_bias = false, feed_forward_bias = false;

  // How the file stores it.
  bool fused_query_key_value = false;  ///< in one matrix
  bool interleaved_heads = false;      ///< in which queries, keys and values of a head follow each other
  bool transposed = false;             ///< matrices of the blocks as [inputs, outputs]
  double gain_offset = 0;              ///< what is to be added to the gains of norms

  bool is_windowed(int64_t layer) const { return !windowed.empty() && windowed[static_cast<size_t>(layer)]; }
};

}  // namespace sae
