#include "ops/l0_penalty/l0_penalty.h"

#include <cmath>
#include <numeric>

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/jump_relu/jump_relu_cpu.h"

namespace sae {
namespace {

struct Counts {
  std::vector<int64_t> above, near_threshold;  // [cols]
};

/// By blocks of columns, so that no two threads count in one place and the inner loop runs along memory.
template <class T>
Counts count(const Tensor& x, const Tensor& threshold, T bandwidth) {
  const int64_t rows = x.rows(), cols = x.cols();
  const T *values = x.data<T>(), *limits = threshold.data<T>();
  Counts counts{std::vector<int64_t>(static_cast<size_t>(cols)), std::vector<int64_t>(static_cast<size_t>(cols))};
  parallel_for(cols, 512, [&](int64_t begin, int64_t end) {
    const auto width = static_cast<size_t>(end - begin);
    std::vector<int32_t> above(width, 0), close(width, 0);
    for (int64_t row = 0; row < rows; ++row) {
      const T *part = values + row * cols + begin, *limit = limits + begin;
      for (size_t i = 0; i < width; ++i) {
        above[i] += part[i] > limit[i];
        close[i] += cpu::near_threshold(part[i], limit[i], bandwidth);
      }
    }
    std::copy(above.begin(), above.end(), counts.above.begin() + begin);
    std::copy(close.begin(), close.end(), counts.near_threshold.begin() + begin);
  });
  return counts;
}

struct L0PenaltyNode final : Node {
  std::vector<int64_t> near_threshold;
  double scale = 0;  // -1 / (rows bandwidth)

  std::string_view name() const override { return "l0_penalty"; }
  int64_t bytes_saved() const override { return static_cast<int64_t>(near_threshold.size() * sizeof(int64_t)); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("l0_penalty", gradient);
    const double factor = scale * g.to(Dtype::f64).data<double>()[0];
    Writable out = Tensor::empty(g.device(), {1, static_cast<int64_t>(near_threshold.size())}, g.dtype());
    visit_real("l0_penalty", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::transform(near_threshold.begin(), near_threshold.end(), out.data<T>(),
                     [&](int64_t n) { return static_cast<T>(factor * static_cast<double>(n)); });
    });
    to.add(1, Value(std::move(out).freeze()));
  }
};

}  // namespace

Variable l0_penalty(const Variable& x, const Variable& threshold, double bandwidth) {
  const Tensor& values = require_dense("l0_penalty", x.value);
  const Tensor& limits = require_dense("l0_penalty", threshold.value);
  CHECK(limits.elements() == values.cols() && limits.cols() == values.cols() && limits.dtype() == values.dtype(),
        "l0_penalty: {} with thresholds {}; expected a row of {} elements of the same dtype", values.describe(),
        limits.describe(), values.cols());
  CHECK(std::isfinite(bandwidth) && bandwidth > 0, "l0_penalty: bandwidth {}, expected above 0", bandwidth);
  if (values.device().kind() != DeviceKind::cpu) refuse_device("l0_penalty", values.device().kind());
  Counts counts = visit_real("l0_penalty", values.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return count<T>(values, limits, static_cast<T>(bandwidth));
  });
  const auto active = static_cast<double>(std::accumulate(counts.above.begin(), counts.above.end(), int64_t{0}));
  const auto rows = static_cast<double>(std::max<int64_t>(1, values.rows()));
  Tensor loss = Tensor::scalar(values.device(), active / rows).to(values.dtype());
  Tape* tape = tape_of({&x, &threshold});
  if (tape == nullptr) return loss;
  auto node = std::make_unique<L0PenaltyNode>();
  node->near_threshold = std::move(counts.near_threshold);
  node->scale = -1 / (rows * bandwidth);
  return tape->record(std::move(loss), std::move(node), {&x, &threshold});
}

}  // namespace sae
