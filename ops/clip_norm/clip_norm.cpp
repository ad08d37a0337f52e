#include "ops/clip_norm/clip_norm.h"

#include <cmath>

#include "engine/error.h"
#include "engine/ordered_sum.h"
#include "ops/clip_norm/clip_norm_cuda.h"

namespace sae {
namespace {

double sum_of_squares(const Tensor& x) {
  Device& device = x.device();
  return visit_real("clip_norm", x.dtype(), [&](auto zero) {
    const auto* from = x.data<decltype(zero)>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return ordered_sum(x.elements(), 32768, [&](int64_t begin, int64_t end) {
          return lane_sum(end - begin, [&](int64_t i) {
            const auto value = static_cast<double>(from[begin + i]);
            return value * value;
          });
        });
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), sum_of_squares, device, from, x.elements());
    }
    refuse_device("clip_norm", device.kind());
  });
}

Tensor scaled(const Tensor& x, double factor) {
  Device& device = x.device();
  Writable out = Tensor::empty(device, x.shape(), x.dtype());
  visit_real("clip_norm", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = out.data<T>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return parallel_for(x.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) to[i] = static_cast<T>(factor) * from[i];
        });
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), scale_elements, device.stream(), from, static_cast<T>(factor), to,
                         x.elements());
    }
  });
  return std::move(out).freeze();
}

}  // namespace

std::vector<Tensor> clip_norm(std::vector<Tensor> gradients, double most, double* length) {
  CHECK(most > 0, "clip_norm: a largest length of {}, expected above 0", most);
  double squares = 0;
  for (const Tensor& gradient : gradients) squares += sum_of_squares(gradient);
  const double norm = std::sqrt(squares);
  if (length != nullptr) *length = norm;
  if (norm <= most) return gradients;
  for (Tensor& gradient : gradients) gradient = scaled(gradient, most / norm);
  return gradients;
}

}  // namespace sae
