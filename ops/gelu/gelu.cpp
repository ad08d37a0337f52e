#include "ops/gelu/gelu.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/gelu/gelu_cpu.h"
#include "ops/gelu/gelu_cuda.h"

namespace sae {
namespace {

void gelu_row(const double* x, const double* factor, int64_t width, GeluForm form, double* y) {
  for (int64_t j = 0; j < width; ++j) {
    const double value = form == GeluForm::exact ? cpu::gelu_exact(x[j]) : cpu::gelu_tanh(x[j]);
    y[j] = factor != nullptr ? value * factor[j] : value;
  }
}

template <class Out>
void gelu_row(const float* x, const float* factor, int64_t width, GeluForm form, Out* y) {
  if (form == GeluForm::exact) {
    SIMD_CALL(gelu_exact_row, x, factor, width, y);
  } else {
    SIMD_CALL(gelu_tanh_row, x, factor, width, y);
  }
}

void activate_on_cpu(const Tensor& x, bool gated, GeluForm form, Dtype output, Writable& y) {
  const int64_t cols = x.cols(), width = gated ? cols / 2 : cols;
  const auto run = [&](const auto* from, auto* to) {
    parallel_for(x.rows(), grain_for(4 * cols), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const auto* row = from + r * cols;
        gelu_row(row, gated ? row + width : nullptr, width, form, to + r * width);
      }
    });
  };
  if (x.dtype() == Dtype::f64) {
    run(x.data<double>(), y.data<double>());
  } else if (output == Dtype::bf16) {
    run(x.data<float>(), reinterpret_cast<uint16_t*>(y.data<bfloat16>()));
  } else {
    run(x.data<float>(), y.data<float>());
  }
}

/// Rows of `width` columns, and behind them, where it is gated, as many of the other factor.
Tensor activate(std::string_view op, const Variable& x, bool gated, GeluForm form, Dtype output) {
  const Tensor& in = require_constant(op, x);
  CHECK(in.dtype() == Dtype::f32 || in.dtype() == Dtype::f64, "{}: expected f32 or f64, got {}", op, in.describe());
  CHECK(!gated || in.cols() % 2 == 0, "{}: expected an even number of columns (gate, then factor), got {}", op,
        in.describe());
  CHECK(output == in.dtype() || (output == Dtype::bf16 && in.dtype() == Dtype::f32),
        "{}: an output of {} from {}; it is the input's dtype, or bf16 from f32", op, name_of(output), in.describe());
  const int64_t width = gated ? in.cols() / 2 : in.cols();
  Device& device = in.device();
  Writable y = Tensor::empty(device, {in.rows(), width}, output);
  switch (device.kind()) {
    case DeviceKind::cpu:
      activate_on_cpu(in, gated, form, output, y);
      break;
    case DeviceKind::simt:
    case DeviceKind::cuda:
      visit_output(in.dtype(), output, [&](auto zero, auto out) {
        SIMT_CALL(device.kind(), gelu, device.stream(), in.data<decltype(zero)>(), form == GeluForm::exact, gated,
                  y.data<decltype(out)>(), in.rows(), width);
      });
  }
  return std::move(y).freeze();
}

}  // namespace

Tensor gelu(const Variable& x, GeluForm form, Dtype output) { return activate("gelu", x, false, form, output); }

Tensor geglu(const Variable& x, GeluForm form, Dtype output) { return activate("geglu", x, true, form, output); }

}  // namespace sae
