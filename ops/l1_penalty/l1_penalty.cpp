#include "ops/l1_penalty/l1_penalty.h"

#include "engine/error.h"
#include "engine/host_sum.h"
#include "ops/l1_penalty/l1_penalty_cpu.h"
#include "ops/l1_penalty/l1_penalty_cuda.h"

namespace sae {
namespace {

/// Which entries belong to a row. A dense matrix stores all its columns, and the penalty does not ask which they are.
SparseRows entries_of(const Value& z) {
  if (const auto* dense = std::get_if<Tensor>(&z)) return {nullptr, nullptr, dense->rows(), dense->cols()};
  return sparse_rows("l1_penalty", z);
}

/// 1 / (rows norm[row])
std::vector<double> row_weights(int64_t rows, Dtype dtype, const Tensor& norms) {
  if (!norms.defined()) return std::vector<double>(static_cast<size_t>(rows), 1.0 / static_cast<double>(rows));
  CHECK(norms.elements() == rows && norms.dtype() == dtype, "l1_penalty: {} rows of {} with norms {}", rows,
        name_of(dtype), norms.describe());
  std::vector<double> weights = norms.to(Dtype::f64).to_vector<double>();
  for (size_t row = 0; row < weights.size(); ++row) {
    CHECK(weights[row] > 0, "l1_penalty: the norm of row {} is {}, expected above 0; leave such rows out", row,
          weights[row]);
    weights[row] = 1.0 / (static_cast<double>(rows) * weights[row]);
  }
  return weights;
}

struct L1PenaltyNode final : Node {
  Value z;
  std::vector<double> weights;

  std::string_view name() const override { return "l1_penalty"; }
  int64_t bytes_saved() const override { return bytes_of(z); }

  void backward(const Value& gradient, Gradients& to) override {
    const double g = require_dense("l1_penalty", gradient).to(Dtype::f64).item<double>();
    for (double& weight : weights) weight *= g;
    const Tensor& stored = stored_values(z);
    Writable out = Tensor::empty(stored.device(), stored.shape(), stored.dtype());
    visit_real("l1_penalty", stored.dtype(), [&](auto zero) {
      using T = decltype(zero);
      Device& device = stored.device();
      switch (device.kind()) {
        case DeviceKind::cpu:
          return cpu::weighted_signs(entries_of(z), stored.data<T>(), weights.data(), out.data<T>());
        case DeviceKind::simt:
        case DeviceKind::cuda:
          const Tensor there = Tensor::from(device, {rows_of(z)}, weights);
          return SIMT_CALL(device.kind(), weighted_signs, device.stream(), entries_of(z), stored.data<T>(),
                           there.data<double>(), out.data<T>());
      }
    });
    to.add(0, with_stored_values(z, std::move(out).freeze()));
  }
};

}  // namespace

Variable l1_penalty(const Variable& z, const Tensor& row_norms) {
  const Tensor& stored = stored_values(z.value);
  Device& device = stored.device();
  const int64_t rows = rows_of(z.value);
  std::vector<double> weights = row_weights(rows, stored.dtype(), row_norms);
  const double sum = visit_real("l1_penalty", stored.dtype(), [&](auto zero) -> double {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::weighted_magnitudes(entries_of(z.value), stored.data<T>(), weights.data());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        const Tensor there = Tensor::from(device, {rows}, weights);
        Writable sums = Tensor::empty(device, {rows}, Dtype::f64);
        SIMT_CALL(device.kind(), weighted_magnitudes, device.stream(), entries_of(z.value), stored.data<T>(),
                  there.data<double>(), sums.data<double>());
        return sum_of(device, sums.raw(), rows);
    }
    refuse_device("l1_penalty", device.kind());
  });
  Tensor loss = Tensor::scalar(device, sum).to(stored.dtype());
  if (z.tape == nullptr) return loss;
  auto node = std::make_unique<L1PenaltyNode>();
  node->z = z.value;
  node->weights = std::move(weights);
  return z.tape->record(std::move(loss), std::move(node), {&z});
}

}  // namespace sae
