#include "ops/swiglu/swiglu.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/swiglu/swiglu_cpu.h"
#include "ops/swiglu/swiglu_cuda.h"

namespace sae {
namespace {

template <class T, class Out, class Row>
void for_rows(const T* x, Out* y, int64_t rows, int64_t width, Row&& row) {
  parallel_for(rows, grain_for(2 * width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row(x + 2 * r * width, x + (2 * r + 1) * width, y + r * width);
  });
}

void swiglu_on_cpu(const Tensor& x, Writable& y, Dtype output) {
  const int64_t rows = x.rows(), width = x.cols() / 2;
  const auto fast = [=](const float* gate, const float* up, auto* to) { SIMD_CALL(swiglu_row, gate, up, width, to); };
  if (x.dtype() == Dtype::f64) {
    for_rows(x.data<double>(), y.data<double>(), rows, width,
             [=](const double* gate, const double* up, double* to) { cpu::swiglu_row(gate, up, width, to); });
  } else if (output == Dtype::bf16) {
    for_rows(x.data<float>(), reinterpret_cast<uint16_t*>(y.data<bfloat16>()), rows, width, fast);
  } else {
    for_rows(x.data<float>(), y.data<float>(), rows, width, fast);
  }
}

}  // namespace

Tensor swiglu(const Variable& x, Dtype output) {
  const Tensor& in = require_constant("swiglu", x);
  CHECK(in.dtype() == Dtype::f32 || in.dtype() == Dtype::f64, "swiglu: expected f32 or f64, got {}", in.describe());
  CHECK(in.cols() % 2 == 0, "swiglu: expected an even number of columns (gate, then factor), got {}", in.describe());
  CHECK(output == in.dtype() || (output == Dtype::bf16 && in.dtype() == Dtype::f32),
        "swiglu: an output of {} from {}; it is the input's dtype, or bf16 from f32", name_of(output), in.describe());
  const int64_t width = in.cols() / 2;
  Device& device = in.device();
  Writable y = Tensor::empty(device, {in.rows(), width}, output);
  switch (device.kind()) {
    case DeviceKind::cpu:
      swiglu_on_cpu(in, y, output);
      break;
    case DeviceKind::simt:
    case DeviceKind::cuda:
      visit_output(in.dtype(), output, [&](auto zero, auto out) {
        SIMT_CALL(device.kind(), swiglu, device.stream(), in.data<decltype(zero)>(), y.data<decltype(out)>(), in.rows(),
                  width);
      });
  }
  return std::move(y).freeze();
}

}  // namespace sae
