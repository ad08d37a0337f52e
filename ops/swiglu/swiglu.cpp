#include "ops/swiglu/swiglu.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/swiglu/swiglu_cpu.h"

namespace sae {

Tensor swiglu(const Variable& x, Dtype output) {
  const Tensor& in = require_constant("swiglu", x);
  CHECK(in.dtype() == Dtype::f32 || in.dtype() == Dtype::f64, "swiglu: expected f32 or f64, got {}", in.describe());
  CHECK(in.cols() % 2 == 0, "swiglu: expected an even number of columns (gate, then factor), got {}", in.describe());
  CHECK(output == in.dtype() || (output == Dtype::bf16 && in.dtype() == Dtype::f32),
        "swiglu: an output of {} from {}; it is the input's dtype, or bf16 from f32", name_of(output), in.describe());
  if (in.device().kind() != DeviceKind::cpu) refuse_device("swiglu", in.device().kind());
  const int64_t width = in.cols() / 2;
  Writable y = Tensor::empty(in.device(), {in.rows(), width}, output);
  const auto rows_with = [&](const auto* from, auto* out, auto&& row) {
    parallel_for(in.rows(), grain_for(2 * width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        row(from + 2 * r * width, from + (2 * r + 1) * width, out + r * width);
      }
    });
  };
  if (in.dtype() == Dtype::f64) {
    rows_with(in.data<double>(), y.data<double>(),
              [=](const double* gate, const double* up, double* to) { cpu::swiglu_row(gate, up, width, to); });
  } else {
    const auto fast = [=](const float* gate, const float* up, auto* to) { SIMD_CALL(swiglu_row, gate, up, width, to); };
    if (output == Dtype::bf16) {
      rows_with(in.data<float>(), reinterpret_cast<uint16_t*>(y.data<bfloat16>()), fast);
    } else {
      rows_with(in.data<float>(), y.data<float>(), fast);
    }
  }
  return std::move(y).freeze();
}

}  // namespace sae
