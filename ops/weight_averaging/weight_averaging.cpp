#include "ops/weight_averaging/weight_averaging.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/weight_averaging/weight_averaging_cpu.h"

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
  switch (value.device().kind()) {
    case DeviceKind::cpu:
      visit_real(op, value.dtype(), [&](auto zero) {
        using T = decltype(zero);
        update_by_rows<T>(parameter, [&](const RowAverage<T>& average) {
          parallel_for(value.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
            cpu::average_row(value.data<T>() + begin, average.decay, average.fraction, average.elements + begin,
                             end - begin);
          });
        });
      });
      return;
    case DeviceKind::simt:
    case DeviceKind::cuda:
      break;
  }
  refuse_device(op, value.device().kind());
}

Tensor WeightAverage::value() const {
  CHECK(updates_ > 0, "{}: the average of '{}' was read before its first update", op, average_.name());
  const Tensor& average = average_.value();
  // 1 - decay^t without cancellation for a decay near 1.
  const double correction = decay_ == 0 ? 1.0 : -std::expm1(static_cast<double>(updates_) * std::log(decay_));
  Writable out = Tensor::empty(average.device(), average.shape(), average.dtype());
  switch (average.device().kind()) {
    case DeviceKind::cpu:
      visit_real(op, average.dtype(), [&](auto zero) {
        using T = decltype(zero);
        cpu::scaled(average.data<T>(), static_cast<T>(1 / correction), out.data<T>(), average.elements());
      });
      return std::move(out).freeze();
    case DeviceKind::simt:
    case DeviceKind::cuda:
      break;
  }
  refuse_device(op, average.device().kind());
}

void WeightAverage::restore(const Tensor& raw, int64_t updates) {
  check_fits(raw, average_.name());
  CHECK(updates >= 0, "{}: a state of '{}' after {} updates", op, average_.name(), updates);
  visit_real(op, raw.dtype(), [&](auto zero) {
    using T = decltype(zero);
    average_.update<T>([&](T* average) { std::copy_n(raw.data<T>(), raw.elements(), average); });
  });
  updates_ = updates;
}

}  // namespace sae
