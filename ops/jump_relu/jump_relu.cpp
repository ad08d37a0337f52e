#include "ops/jump_relu/jump_relu.h"

#include <cmath>

#include "engine/compress_rows.h"
#include "engine/error.h"
#include "ops/jump_relu/jump_relu_cpu.h"
#include "ops/jump_relu/jump_relu_cuda.h"

namespace sae {
namespace {

SparseRows entries_of(const Value& value) {
  if (const auto* dense = std::get_if<Tensor>(&value)) return {nullptr, nullptr, dense->rows(), dense->cols()};
  return sparse_rows("jump_relu", value);
}

void check_inputs(const Tensor& x, const Tensor& threshold, double bandwidth) {
  CHECK(threshold.elements() == x.cols() && threshold.cols() == x.cols() && threshold.dtype() == x.dtype(),
        "jump_relu: {} with thresholds {}; expected a row of {} elements of the same dtype", x.describe(),
        threshold.describe(), x.cols());
  CHECK(std::isfinite(bandwidth) && bandwidth >= 0, "jump_relu: bandwidth {}, expected 0 or more", bandwidth);
  require_same_device("jump_relu", {&x, &threshold});
  visit_real("jump_relu", x.dtype(), [&](auto zero) {
    const auto values = threshold.to_vector<decltype(zero)>();
    for (size_t col = 0; col < values.size(); ++col) {
      CHECK(values[col] > 0, "jump_relu: the threshold of column {} is {}, expected above 0", col, values[col]);
    }
  });
}

Value forward(const Value& stored, const Tensor& threshold) {
  const Tensor& from = stored_values(stored);
  Device& device = from.device();
  Writable out = Tensor::empty(device, from.shape(), from.dtype());
  visit_real("jump_relu", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::jump_relu(entries_of(stored), from.data<T>(), threshold.data<T>(), out.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), jump_relu, device.stream(), entry_columns(stored), from.data<T>(),
                         threshold.data<T>(), out.data<T>(), from.elements());
    }
  });
  return with_stored_values(stored, std::move(out).freeze());
}

template <class T>
void backward(Device& device, const Value& pattern, const JumpReluGradient<T>& p) {
  switch (device.kind()) {
    case DeviceKind::cpu:
      return cpu::jump_relu_backward(entries_of(pattern), p.x, p.threshold, p.bandwidth, p.g, p.dx, p.pull);
    case DeviceKind::simt:
    case DeviceKind::cuda:
      return SIMT_CALL(device.kind(), jump_relu_backward, device.stream(), p);
  }
}

struct JumpReluNode final : Node {
  Value x;  // in the layout of y
  Tensor threshold;
  double bandwidth = 0;

  std::string_view name() const override { return "jump_relu"; }
  int64_t bytes_saved() const override { return bytes_of(x); }

  void backward(const Value& gradient, Gradients& to) override {
    const auto* dense = std::get_if<Tensor>(&x);
    const bool same = same_pattern(x, gradient);
    CHECK(same || dense != nullptr, "jump_relu backward: {} has a gradient over the same stored places, got {}",
          describe(x), describe(gradient));
    const Tensor there = same ? stored_values(x) : elements_at(*dense, gradient);
    const Tensor& g = stored_values(gradient);
    require_same_device("jump_relu backward", {&there, &g});
    Writable dx = Tensor::empty(g.device(), g.shape(), g.dtype());
    Writable pull = Tensor::empty(g.device(), g.shape(), g.dtype());
    visit_real("jump_relu", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      sae::backward<T>(g.device(), gradient,
                       {entry_columns(gradient), there.data<T>(), threshold.data<T>(), static_cast<T>(bandwidth),
                        g.data<T>(), dx.data<T>(), pull.data<T>(), g.elements()});
    });
    to.add(0, with_stored_values(gradient, std::move(dx).freeze()));
    if (to.wanted(1)) to.add(1, column_sum(with_stored_values(gradient, std::move(pull).freeze())));
  }
};

/// x at the places that y stores.
Value stored_places(const Tensor& x, const Tensor& threshold, double bandwidth, bool compressed) {
  if (!compressed) return x;
  return visit_real("jump_relu", x.dtype(), [&](auto zero) -> Value {
    using T = decltype(zero);
    switch (x.device().kind()) {
      case DeviceKind::cpu:
        break;
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(x.device().kind(), above_kernel<T>, x, threshold.data<T>(), static_cast<T>(bandwidth));
    }
    std::vector<T> least = threshold.to_vector<T>();
    for (T& value : least) value -= static_cast<T>(bandwidth) / 2;
    return compress_rows<T>(x,
                            [&](int64_t, int64_t col, T value) { return !(value <= least[static_cast<size_t>(col)]); });
  });
}

Variable apply(const Variable& input, const Variable& threshold, double bandwidth, bool compressed) {
  const Tensor& x = require_dense("jump_relu", input.value);
  const Tensor& limits = require_dense("jump_relu", threshold.value);
  check_inputs(x, limits, bandwidth);
  Value stored = stored_places(x, limits, bandwidth, compressed);
  Value y = forward(stored, limits);
  Tape* tape = tape_of({&input, &threshold});
  if (tape == nullptr) return y;
  auto node = std::make_unique<JumpReluNode>();
  node->x = std::move(stored);
  node->threshold = limits;
  node->bandwidth = bandwidth;
  return tape->record(std::move(y), std::move(node), {&input, &threshold});
}

}  // namespace

Variable jump_relu(const Variable& x, const Variable& threshold, double bandwidth) {
  return apply(x, threshold, bandwidth, false);
}

Variable jump_relu_compressed(const Variable& x, const Variable& threshold, double bandwidth) {
  return apply(x, threshold, bandwidth, true);
}

}  // namespace sae
