#include "ops/weight_averaging/weight_averaging.h"

#include <cmath>

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/weight_averaging/weight_averaging_cpu.h"
#include "ops/weight_averaging/weight_averaging_cuda.h"

namespace sae {
namespace {

constexpr std::string_view op = "weight_averaging";

}  // namespace

WeightAverage::WeightAverage(const Parameter& parameter, double decay)
    : average_(parameter.name(),
               Tensor::zeros(parameter.value().device(), parameter.value().shape(), parameter.value().dtype())),
      decay_(decay) {
  CHECK(decay >= 0 && decay < 1, "{}: decay {} of '{}', expected at least 0 and below 1", op, decay, parameter.name());
  visit_real(op, parameter.value().dtype(), [](auto) {});
}

void WeightAverage::check_fits(const Tensor& value, const std::string& name) const {
  CHECK(value.shape() == average_.value().shape() && value.dtype() == average_.value().dtype(),
        "{}: '{}' is {}, its average is {}", op, name, value.describe(), average_.value().describe());
}

void WeightAverage::update(const Parameter& parameter) {
  const Tensor& value = parameter.value();
  require_same_device(op, {&value, &average_.value()});
  Device& device = value.device();
  visit_real(op, value.dtype(), [&](auto zero) {
    using T = decltype(zero);
    update_by_rows<T>(parameter, [&](const RowAverage<T>& average) {
      switch (device.kind()) {
        case DeviceKind::cpu:
          return parallel_for(value.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
            cpu::average_row(value.data<T>() + begin, average.decay, average.fraction, average.elements + begin,
                             end - begin);
          });
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), average_elements, device.stream(), value.data<T>(), average.decay,
                           average.fraction, average.elements, value.elements());
      }
    });
  });
}

Tensor WeightAverage::value() const {
  CHECK(updates_ > 0, "{}: the average of '{}' was read before its first update", op, average_.name());
  const Tensor& average = average_.value();
  // 1 - decay^t without cancellation for a decay near 1.
  const double correction = decay_ == 0 ? 1.0 : -std::expm1(static_cast<double>(updates_) * std::log(decay_));
  Device& device = average.device();
  Writable out = Tensor::empty(device, average.shape(), average.dtype());
  visit_real(op, average.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T scale = static_cast<T>(1 / correction);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::scaled(average.data<T>(), scale, out.data<T>(), average.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), scaled_average, device.stream(), average.data<T>(), scale, out.data<T>(),
                         average.elements());
    }
  });
  return std::move(out).freeze();
}

void WeightAverage::restore(const Tensor& raw, int64_t updates) {
  check_fits(raw, average_.name());
  CHECK(updates >= 0, "{}: a state of '{}' after {} updates", op, average_.name(), updates);
  average_.assign(raw);
  updates_ = updates;
}

}  // namespace sae
