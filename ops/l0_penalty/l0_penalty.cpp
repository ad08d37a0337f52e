#include "ops/l0_penalty/l0_penalty.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/jump_relu/jump_relu_cpu.h"
#include "ops/l0_penalty/l0_penalty_cuda.h"

namespace sae {
namespace {

struct Counted {
  Tensor close;  // i32 [cols]: the rows in which x is near the threshold
  Tensor loss;   // [1]
};

/// By blocks of columns, so that no two threads count in one place and the inner loop runs along memory.
template <class T>
void count_on_cpu(const Tensor& x, const T* limits, T bandwidth, int32_t* close, T* loss) {
  const int64_t rows = x.rows(), cols = x.cols();
  const T* values = x.data<T>();
  std::vector<int32_t> above(static_cast<size_t>(cols));
  parallel_for(cols, 512, [&](int64_t begin, int64_t end) {
    const auto width = static_cast<size_t>(end - begin);
    std::vector<int32_t> over(width, 0), within(width, 0);
    for (int64_t row = 0; row < rows; ++row) {
      const T *part = values + row * cols + begin, *limit = limits + begin;
      for (size_t i = 0; i < width; ++i) {
        over[i] += part[i] > limit[i];
        within[i] += cpu::near_threshold(part[i], limit[i], bandwidth);
      }
    }
    std::copy(over.begin(), over.end(), above.begin() + begin);
    std::copy(within.begin(), within.end(), close + begin);
  });
  const auto active = static_cast<double>(std::accumulate(above.begin(), above.end(), int64_t{0}));
  loss[0] = static_cast<T>(active / static_cast<double>(std::max<int64_t>(1, rows)));
}

Counted count(const Tensor& x, const Tensor& threshold, double bandwidth) {
  Device& device = x.device();
  Writable close = Tensor::empty(device, {1, x.cols()}, Dtype::i32);
  Writable loss = Tensor::empty(device, {1}, x.dtype());
  visit_real("l0_penalty", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *limits = threshold.data<T>(), width = static_cast<T>(bandwidth);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return count_on_cpu(x, limits, width, close.data<int32_t>(), loss.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), l0_penalty, device, x.data<T>(), limits, width, x.rows(), x.cols(),
                         close.data<int32_t>(), loss.data<T>());
    }
  });
  return {std::move(close).freeze(), std::move(loss).freeze()};
}

struct L0PenaltyNode final : Node {
  Tensor close;
  double scale = 0;  // -1 / (rows bandwidth)

  std::string_view name() const override { return "l0_penalty"; }
  int64_t bytes_saved() const override { return close.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("l0_penalty", gradient);
    require_same_device("l0_penalty backward", {&close, &g});
    Device& device = g.device();
    Writable out = Tensor::empty(device, close.shape(), g.dtype());
    visit_real("l0_penalty", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      switch (device.kind()) {
        case DeviceKind::cpu:
          std::transform(close.data<int32_t>(), close.data<int32_t>() + close.elements(), out.data<T>(),
                         [factor = scale * static_cast<double>(g.data<T>()[0])](int32_t n) {
                           return static_cast<T>(factor * static_cast<double>(n));
                         });
          return;
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), l0_penalty_backward, device.stream(), close.data<int32_t>(), g.data<T>(),
                           scale, out.data<T>(), close.elements());
      }
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
  require_same_device("l0_penalty", {&values, &limits});
  Counted counted = count(values, limits, bandwidth);
  Tape* tape = tape_of({&x, &threshold});
  if (tape == nullptr) return counted.loss;
  auto node = std::make_unique<L0PenaltyNode>();
  node->close = std::move(counted.close);
  node->scale = -1 / (static_cast<double>(std::max<int64_t>(1, values.rows())) * bandwidth);
  return tape->record(std::move(counted.loss), std::move(node), {&x, &threshold});
}

}  // namespace sae
