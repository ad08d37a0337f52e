#include "ops/adam/adam.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/adam/adam_device.h"
#include "ops/adam/adam_rows.h"

namespace sae {

AdamState::AdamState(const Parameter& parameter)
    : first_moment(parameter.name() + ".first_moment",
                   Tensor::zeros(parameter.value().device(), parameter.value().shape(), parameter.value().dtype())),
      second_moment(parameter.name() + ".second_moment",
                    Tensor::zeros(parameter.value().device(), parameter.value().shape(), parameter.value().dtype())) {}

void adam_step(Parameter& parameter, AdamState& state, const AdamOptions& options, RowConstraint constraint) {
  if (parameter.value().device().kind() != DeviceKind::cpu) {
    return on_device::adam_step(parameter, state, options, constraint, nullptr);
  }
  visit_real("adam", parameter.value().dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_adam_rows<T>(parameter, state, options, constraint, nullptr, [&](const AdamRows<T>& rows) {
      parallel_for(parameter.value().rows(), 16, [&](int64_t begin, int64_t end) {
        RowScratch<T> scratch(rows.width);
        for (int64_t row = begin; row < end; ++row) {
          if (!rows.step(row, scratch)) fail_not_finite(parameter, row, state.step);
        }
      });
    });
  });
}

}  // namespace sae
