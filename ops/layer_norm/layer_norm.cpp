#include "ops/layer_norm/layer_norm.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/layer_norm/layer_norm_cpu.h"
#include "ops/layer_norm/layer_norm_cuda.h"

namespace sae {
namespace {

void normalise_on_cpu(const Tensor& x, const Tensor& gain, const Tensor& bias, double epsilon, Dtype output,
                      Writable& y) {
  const int64_t width = x.cols();
  const auto rows_with = [&](auto&& row) {
    parallel_for(x.rows(), grain_for(2 * width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) row(r * width);
    });
  };
  if (x.dtype() == Dtype::f64) {
    rows_with([&, out = y.data<double>()](int64_t at) {
      cpu::layer_norm_row(x.data<double>() + at, gain.data<double>(), bias.data<double>(), width, epsilon, out + at);
    });
    return;
  }
  const float* from = x.data<float>();
  const float* scale = gain.data<float>();
  const float* shift = bias.data<float>();
  const auto small = static_cast<float>(epsilon);
  const auto fast = [=](auto* out) {
    return [=](int64_t at) { SIMD_CALL(layer_norm_row, from + at, scale, shift, width, small, out + at); };
  };
  if (output == Dtype::bf16) {
    rows_with(fast(reinterpret_cast<uint16_t*>(y.data<bfloat16>())));
  } else {
    rows_with(fast(y.data<float>()));
  }
}

}  // namespace

Tensor layer_norm(const Variable& x, const Variable& gain, const Variable& bias, double epsilon, Dtype output) {
  const Tensor& rows = require_constant("layer_norm", x);
  const Tensor& scale = require_constant("layer_norm", gain);
  const Tensor& shift = require_constant("layer_norm", bias);
  CHECK(rows.dtype() == Dtype::f32 || rows.dtype() == Dtype::f64, "layer_norm: expected f32 or f64, got {}",
        rows.describe());
  for (const Tensor* parameter : {&scale, &shift}) {
    CHECK(parameter->elements() == rows.cols() && parameter->dtype() == rows.dtype(),
          "layer_norm: a {} {} for rows {}; it has one entry a column, of the same dtype",
          parameter == &scale ? "gain" : "bias", parameter->describe(), rows.describe());
  }
  CHECK(output == rows.dtype() || (output == Dtype::bf16 && rows.dtype() == Dtype::f32),
        "layer_norm: an output of {} from {}; it is the input's dtype, or bf16 from f32", name_of(output),
        rows.describe());
  CHECK(epsilon >= 0, "layer_norm: expected an epsilon of at least 0, got {}", epsilon);
  require_same_device("layer_norm", {&rows, &scale, &shift});
  Device& device = rows.device();
  Writable y = Tensor::empty(device, rows.shape(), output);
  if (rows.elements() == 0) return std::move(y).freeze();
  switch (device.kind()) {
    case DeviceKind::cpu:
      normalise_on_cpu(rows, scale, shift, epsilon, output, y);
      break;
    case DeviceKind::simt:
    case DeviceKind::cuda:
      visit_output(rows.dtype(), output, [&](auto zero, auto out) {
        using T = decltype(zero);
        const LayerNormRows<T> in = {rows.data<T>(),  rows.rows(),     rows.cols(),
                                     scale.data<T>(), shift.data<T>(), static_cast<T>(epsilon)};
        SIMT_CALL(device.kind(), layer_norm, device.stream(), in, y.data<decltype(out)>());
      });
  }
  return std::move(y).freeze();
}

}  // namespace sae
