#include "ops/unit_norm/unit_norm.h"

#include "engine/error.h"
#include "ops/unit_norm/unit_norm_cpu.h"
#include "ops/unit_norm/unit_norm_cuda.h"

namespace sae {
namespace {

template <class T>
int64_t first_row_without_length(const Tensor& matrix) {
  Device& device = matrix.device();
  switch (device.kind()) {
    case DeviceKind::cpu:
      return cpu::first_row_without_length(matrix.data<T>(), matrix.rows(), matrix.cols());
    case DeviceKind::simt:
    case DeviceKind::cuda:
      return SIMT_CALL(device.kind(), first_row_without_length, device, matrix.data<T>(), matrix.rows(), matrix.cols());
  }
  refuse_device("normalise_rows", device.kind());
}

}  // namespace

void normalise_rows(Parameter& parameter) {
  const Tensor& value = parameter.value();
  Device& device = value.device();
  visit_real("normalise_rows", value.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t bad = first_row_without_length<T>(value);
    CHECK(bad < 0, "normalise_rows: row {} of '{}' has no finite length; the step before went wrong", bad,
          parameter.name());
    parameter.update<T>([&](T* rows) {
      switch (device.kind()) {
        case DeviceKind::cpu:
          return cpu::normalise_rows(rows, value.rows(), value.cols());
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), normalise_rows, device.stream(), rows, value.rows(), value.cols());
      }
    });
  });
}

Tensor remove_parallel_component(const Tensor& gradient, const Tensor& unit_rows) {
  CHECK(gradient.shape() == unit_rows.shape() && gradient.dtype() == unit_rows.dtype(),
        "remove_parallel_component: a gradient {} for rows {}", gradient.describe(), unit_rows.describe());
  require_same_device("remove_parallel_component", {&gradient, &unit_rows});
  Device& device = gradient.device();
  Writable out = Tensor::empty(device, gradient.shape(), gradient.dtype());
  visit_real("remove_parallel_component", gradient.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *g = gradient.data<T>(), *rows = unit_rows.data<T>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::remove_parallel_rows(g, rows, gradient.rows(), gradient.cols(), out.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), remove_parallel_rows, device.stream(), g, rows, gradient.rows(),
                         gradient.cols(), out.data<T>());
    }
  });
  return std::move(out).freeze();
}

}  // namespace sae
