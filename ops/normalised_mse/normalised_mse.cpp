#include "ops/normalised_mse/normalised_mse.h"

#include "engine/error.h"
#include "ops/normalised_mse/normalised_mse_cpu.h"
#include "ops/normalised_mse/normalised_mse_cuda.h"

namespace sae {
namespace {

void check_pair(std::string_view op, const Tensor& prediction, const Tensor& target) {
  CHECK(prediction.shape() == target.shape() && prediction.dtype() == target.dtype(),
        "{}: a prediction {} for a target {}; expected one shape and dtype", op, prediction.describe(),
        target.describe());
  require_same_device(op, {&prediction, &target});
}

double sum_of_squares(std::string_view op, const Tensor& prediction, const Tensor& target) {
  Device& device = prediction.device();
  return visit_real(op, prediction.dtype(), [&](auto zero) -> double {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::squared_difference(prediction.data<T>(), target.data<T>(), prediction.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), squared_difference, device, prediction.data<T>(), target.data<T>(),
                         prediction.elements());
    }
    refuse_device(op, device.kind());
  });
}

/// factor * (prediction - target)
Tensor scaled_difference(std::string_view op, const Tensor& prediction, const Tensor& target, double scale) {
  Device& device = prediction.device();
  Writable out = Tensor::empty(device, prediction.shape(), prediction.dtype());
  visit_real(op, prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T factor = static_cast<T>(scale);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::scaled_difference(prediction.data<T>(), target.data<T>(), factor, out.data<T>(),
                                      prediction.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), scaled_difference, device.stream(), prediction.data<T>(), target.data<T>(),
                         factor, out.data<T>(), prediction.elements());
    }
  });
  return std::move(out).freeze();
}

double number_in(const Tensor& scalar) { return scalar.to(Dtype::f64).item<double>(); }

struct NormalisedMseNode final : Node {
  std::string_view op;
  Tensor prediction, target;
  double scale = 1;

  std::string_view name() const override { return op; }
  int64_t bytes_saved() const override { return prediction.bytes() + target.bytes(); }
  double flops() const override { return 3.0 * static_cast<double>(prediction.elements()); }

  void backward(const Value& gradient, Gradients& to) override {
    const double g = number_in(require_dense(op, gradient));
    const double factor = g * 2 * scale / static_cast<double>(prediction.elements());
    to.add(0, Value(scaled_difference(op, prediction, target, factor)));
  }
};

Variable scaled_mse(std::string_view op, const Variable& prediction, const Tensor& target, double scale) {
  const Tensor& p = require_dense(op, prediction.value);
  const double sum = sum_of_squares(op, p, target);
  const double loss = p.elements() == 0 || scale == 0 ? 0.0 : scale * sum / static_cast<double>(p.elements());
  Tensor result = Tensor::scalar(p.device(), loss).to(p.dtype());
  if (prediction.tape == nullptr) return result;
  auto node = std::make_unique<NormalisedMseNode>();
  node->op = op;
  node->prediction = p;
  node->target = target;
  node->scale = scale;
  return prediction.tape->record(std::move(result), std::move(node), {&prediction});
}

}  // namespace

Variable normalised_mse(const Variable& prediction, const Tensor& target, double scale) {
  check_pair("normalised_mse", require_dense("normalised_mse", prediction.value), target);
  return scaled_mse("normalised_mse", prediction, target, scale);
}

Variable batch_normalised_mse(const Variable& prediction, const Tensor& target) {
  check_pair("batch_normalised_mse", require_dense("batch_normalised_mse", prediction.value), target);
  const double variance = mean_square_about_mean(target);
  return scaled_mse("batch_normalised_mse", prediction, target, variance == 0 ? 0.0 : 1.0 / variance);
}

double mean_square_about_mean(const Tensor& x) {
  constexpr std::string_view op = "mean_square_about_mean";
  Device& device = x.device();
  const cpu::SquareSums sums = visit_real(op, x.dtype(), [&](auto zero) -> cpu::SquareSums {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::square_sums(x.data<T>(), x.rows(), x.cols());
      case DeviceKind::simt:
      case DeviceKind::cuda: {
        cpu::SquareSums both;
        SIMT_CALL(device.kind(), square_sums, device, x.data<T>(), x.rows(), x.cols(), both.about_mean,
                  both.about_zero);
        return both;
      }
    }
    refuse_device(op, device.kind());
  });
  // A mean of equal doubles may be off by a few units in the last place, which is 1e-16 of it.
  constexpr double rounding = 1e-28;
  if (sums.about_mean <= rounding * sums.about_zero) return 0;
  return sums.about_mean / static_cast<double>(x.elements());
}

double per_row_normalised_mse(const Tensor& prediction, const Tensor& target) {
  constexpr std::string_view op = "per_row_normalised_mse";
  check_pair(op, prediction, target);
  CHECK(target.rows() > 0, "{}: expected at least one row, got {}", op, target.describe());
  Device& device = target.device();
  int64_t zero_row = -1;
  const double sum = visit_real(op, target.dtype(), [&](auto zero) -> double {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::relative_squares(prediction.data<T>(), target.data<T>(), target.rows(), target.cols(), zero_row);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), relative_squares, device, prediction.data<T>(), target.data<T>(), target.rows(),
                         target.cols(), zero_row);
    }
    refuse_device(op, device.kind());
  });
  CHECK(zero_row < 0, "{}: row {} of the target is zero, so its error has no ratio; leave such rows out", op, zero_row);
  return sum / static_cast<double>(target.rows());
}

}  // namespace sae
