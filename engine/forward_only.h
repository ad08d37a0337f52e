#pragma once

#include <string_view>

#include "engine/tape.h"

namespace sae {

/// The dense tensor behind an input of an op that has no backward. Throws, naming the op, where the input lies on a
/// tape: a gradient that silently stopped there would be wrong.
const Tensor& require_constant(std::string_view op, const Variable& input);

/// Calls f(T{}, Out{}) with the C++ types of an op that reads `input`, f32 or f64, and writes that, or bf16 from f32.
template <class F>
void visit_output(Dtype input, Dtype output, F&& f) {
  if (input == Dtype::f64) return f(double{}, double{});
  if (output == Dtype::bf16) return f(float{}, bfloat16{});
  f(float{}, float{});
}

}  // namespace sae
