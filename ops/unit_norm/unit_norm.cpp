#include "ops/unit_norm/unit_norm.h"

#include "engine/error.h"
#include "ops/unit_norm/unit_norm_cpu.h"

namespace sae {

void normalise_rows(Parameter& parameter) {
  const Tensor& value = parameter.value();
  switch (value.device().kind()) {
    case DeviceKind::cpu:
      return visit_real("normalise_rows", value.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const int64_t bad = cpu::first_row_without_length(value.data<T>(), value.rows(), value.cols());
        CHECK(bad < 0, "normalise_rows: row {} of '{}' has no finite length; the step before went wrong", bad,
              parameter.name());
        parameter.update<T>([&](T* rows) { cpu::normalise_rows(rows, value.rows(), value.cols()); });
      });
    case DeviceKind::simt:
    case DeviceKind::cuda:
      break;
  }
  refuse_device("normalise_rows", value.device().kind());
}

Tensor remove_parallel_component(const Tensor& gradient, const Tensor& unit_rows) {
  CHECK(gradient.shape() == unit_rows.shape() && gradient.dtype() == unit_rows.dtype(),
        "remove_parallel_component: a gradient {} for rows {}", gradient.describe(), unit_rows.describe());
  Writable out = Tensor::empty(gradient.device(), gradient.shape(), gradient.dtype());
  switch (gradient.device().kind()) {
    case DeviceKind::cpu:
      visit_real("remove_parallel_component", gradient.dtype(), [&](auto zero) {
        using T = decltype(zero);
        cpu::remove_parallel_rows(gradient.data<T>(), unit_rows.data<T>(), gradient.rows(), gradient.cols(),
                                  out.data<T>());
      });
      return std::move(out).freeze();
    case DeviceKind::simt:
    case DeviceKind::cuda:
      break;
  }
  refuse_device("remove_parallel_component", gradient.device().kind());
}

}  // namespace sae
