#pragma once

#include "engine/tape.h"

namespace sae {

/// Which elements of a head's vector turn together: 2i and 2i + 1 (the order of GGUF's llama), or i and i + half (the
/// order of the original weights of GPT-NeoX and of Hugging Face's llama).
enum class RotaryPairs { neighbours, halves };

/// The angles of the positions of a context: pair i of a head of head_dim elements turns by
/// position * base^(-2i / head_dim). Laid out so that turning is y = x * cosine + partner(x) * sine, element by
/// element: every cosine stands twice, and the sine is negative for the first of a pair.
struct RotaryTable {
  Tensor cosine, sine;  // [positions, head_dim]
  RotaryPairs pairs = RotaryPairs::neighbours;

  int64_t positions() const { return cosine.rows(); }
  /// For positions first, first + 1, ... Angles in double, stored as `dtype` (f32 or f64). head_dim is even.
  static RotaryTable make(Device& device, Dtype dtype, int64_t first, int64_t positions, int64_t head_dim, double base,
                          RotaryPairs pairs);
};

/// Rotary position embedding (Su et al. 2021) of the first `heads` heads of every row; the columns behind them (the
/// values, in a product of queries, keys and values) stay as they are. Row r has the angles of position
/// r mod table.positions(): rows are whole contexts, one after the other.
///   x [rows, at least heads * head_dim] f32 or f64, like the table.
/// Written into x's memory if x was the last handle on it. Forward only: an input on a tape is refused.
Tensor rotary(Variable x, int64_t heads, const RotaryTable& table);

}  // namespace sae
