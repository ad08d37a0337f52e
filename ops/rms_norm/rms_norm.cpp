#include "ops/rms_norm/rms_norm.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/rms_norm/rms_norm_cpu.h"
#include "ops/rms_norm/rms_norm_cuda.h"

namespace sae {
namespace {

void normalise_on_cpu(const Tensor& x, const Tensor& gain, double epsilon, Dtype output, Writable& y) {
  const int64_t width = x.cols();
  const auto rows_with = [&](auto&& row) {
    parallel_for(x.rows(), grain_for(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) row(r * width);
    });
  };
  if (x.dtype() == Dtype::f64) {
    rows_with([&, out = y.data<double>()](int64_t at) {
      cpu::rms_norm_row(x.data<double>() + at, gain.data<double>(), width, epsilon, out + at);
    });
    return;
  }
  const float* from = x.data<float>();
  const float* scale = gain.data<float>();
  const auto small = static_cast<float>(epsilon);
  if (output == Dtype::bf16) {
    auto* out = reinterpret_cast<uint16_t*>(y.data<bfloat16>());
    rows_with([=](int64_t at) { SIMD_CALL(rms_norm_row, from + at, scale, width, small, out + at); });
  } else {
    auto* out = y.data<float>();
    rows_with([=](int64_t at) { SIMD_CALL(rms_norm_row, from + at, scale, width, small, out + at); });
  }
}

/// In place, several parts of each row.
template <class T>
void normalise_heads_on_cpu(const NormVectors& vectors, const T* gain, T epsilon, T* data) {
  parallel_for(vectors.rows, grain_for(vectors.in_row * vectors.width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < vectors.in_row; ++h) {
        T* head = data + r * vectors.cols + vectors.first + h * vectors.width;
        if constexpr (std::is_same_v<T, float>) {
          SIMD_CALL(rms_norm_row, head, gain, vectors.width, epsilon, head);
        } else {
          cpu::rms_norm_row(head, gain, vectors.width, epsilon, head);
        }
      }
    }
  });
}

}  // namespace

Tensor rms_norm(const Variable& x, const Variable& gain, double epsilon, Dtype output) {
  const Tensor& rows = require_constant("rms_norm", x);
  const Tensor& scale = require_constant("rms_norm", gain);
  CHECK(rows.dtype() == Dtype::f32 || rows.dtype() == Dtype::f64, "rms_norm: expected f32 or f64, got {}",
        rows.describe());
  CHECK(scale.elements() == rows.cols() && scale.dtype() == rows.dtype(),
        "rms_norm: a gain {} for rows {}; it has one entry a column, of the same dtype", scale.describe(),
        rows.describe());
  CHECK(output == rows.dtype() || (output == Dtype::bf16 && rows.dtype() == Dtype::f32),
        "rms_norm: an output of {} from {}; it is the input's dtype, or bf16 from f32", name_of(output),
        rows.describe());
  CHECK(epsilon >= 0, "rms_norm: expected an epsilon of at least 0, got {}", epsilon);
  require_same_device("rms_norm", {&rows, &scale});
  Device& device = rows.device();
  Writable y = Tensor::empty(device, rows.shape(), output);
  if (rows.elements() == 0) return std::move(y).freeze();
  switch (device.kind()) {
    case DeviceKind::cpu:
      normalise_on_cpu(rows, scale, epsilon, output, y);
      break;
    case DeviceKind::simt:
    case DeviceKind::cuda:
      visit_output(rows.dtype(), output, [&](auto zero, auto out) {
        using T = decltype(zero);
        const NormVectors vectors = {rows.rows(), rows.cols(), 0, 1, rows.cols()};
        SIMT_CALL(device.kind(), rms_norm, device.stream(), vectors, rows.data<T>(), scale.data<T>(),
                  static_cast<T>(epsilon), y.data<decltype(out)>());
      });
  }
  return std::move(y).freeze();
}

Tensor rms_norm_heads(Variable x, int64_t first, int64_t heads, const Variable& gain, double epsilon) {
  const Tensor& in = require_constant("rms_norm_heads", x);
  const Tensor& scale = require_constant("rms_norm_heads", gain);
  const int64_t rows = in.rows(), cols = in.cols(), width = scale.elements();
  CHECK(first >= 0 && heads >= 0 && first + heads * width <= cols && scale.dtype() == in.dtype(),
        "rms_norm_heads: {} heads from column {} on, with a gain {}, in rows {}", heads, first, scale.describe(),
        in.describe());
  CHECK(epsilon >= 0, "rms_norm_heads: expected an epsilon of at least 0, got {}", epsilon);
  require_same_device("rms_norm_heads", {&in, &scale});
  Device& device = in.device();
  const Dtype dtype = in.dtype();
  const NormVectors vectors = {rows, cols, first, heads, width};
  Writable y = std::get<Tensor>(std::move(x.value)).into_writable();
  visit_real("rms_norm_heads", dtype, [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return normalise_heads_on_cpu(vectors, scale.data<T>(), static_cast<T>(epsilon), y.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), rms_norm, device.stream(), vectors, y.data<T>(), scale.data<T>(),
                         static_cast<T>(epsilon), y.data<T>());
    }
  });
  return std::move(y).freeze();
}

}  // namespace sae
