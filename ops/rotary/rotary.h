#pragma once

#include <span>
#include <vector>

#include "engine/tape.h"

namespace sae {

/// Which elements of a head's vector turn together: 2i and 2i + 1 (the order of GGUF's llama), or i and i + half (the
/// order of the original weights of GPT-NeoX and of Hugging Face's llama).
enum class RotaryPairs { neighbours, halves };

/// How far each pair of `dimensions` elements (an even number) turns from one position to the next:
/// base^(-2i / dimensions) for pair i.
std::vector<double> rotary_frequencies(int64_t dimensions, double base);

/// The angles of the positions of a context: position * frequency for each pair. Laid out so that turning is
/// y = x * cosine + partner(x) * sine, element by element: every cosine stands twice, and the sine is negative for the
/// first of a pair.
struct RotaryTable {
  Tensor cosine, sine;  // [positions, dimensions], two for each frequency
  RotaryPairs pairs = RotaryPairs::neighbours;

  int64_t positions() const { return cosine.rows(); }
  int64_t dimensions() const { return cosine.cols(); }
  /// For positions first, first + 1, ... Angles in double, stored as `dtype` (f32 or f64).
  static RotaryTable make(Device& device, Dtype dtype, int64_t first, int64_t positions,
                          std::span<const double> frequencies, RotaryPairs pairs);
};

/// Rotary position embedding (Su et al. 2021) of the first `heads` heads of every row; the columns behind them (the
/// values, in a product of queries, keys and values) stay as they are, as do the elements of a head behind the table's
/// dimensions. Row r has the angles of position r mod table.positions(): rows are whole contexts, one after the other.
///   x [rows, at least heads * head_dim] f32 or f64, like the table; head_dim at least the table's dimensions.
/// Written into x's memory if x was the last handle on it. Forward only: an input on a tape is refused.
Tensor rotary(Variable x, int64_t heads, int64_t head_dim, const RotaryTable& table);

}  // namespace sae
