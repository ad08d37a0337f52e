#include "ops/subtract/subtract.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/subtract/subtract_cuda.h"

namespace sae {
namespace {

Tensor difference(const Tensor& a, const Tensor& b) {
  require_same_device("subtract", {&a, &b});
  Device& device = a.device();
  Writable out = Tensor::empty(device, a.shape(), a.dtype());
  visit_real("subtract", a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *left = a.data<T>(), *right = b.data<T>();
    T* y = out.data<T>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return parallel_for(a.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) y[i] = left[i] - right[i];
        });
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), subtract, device.stream(), left, right, y, a.elements());
    }
  });
  return std::move(out).freeze();
}

struct SubtractNode final : Node {
  std::string_view name() const override { return "subtract"; }
  void backward(const Value& gradient, Gradients& to) override {
    to.add(0, gradient);
    if (!to.wanted(1)) return;
    const Tensor& g = require_dense("subtract backward", gradient);
    to.add(1, difference(Tensor::zeros(g.device(), g.shape(), g.dtype()), g));
  }
};

}  // namespace

Variable subtract(const Variable& a, const Variable& b) {
  const Tensor& left = require_dense("subtract", a.value);
  const Tensor& right = require_dense("subtract", b.value);
  CHECK(left.shape() == right.shape() && left.dtype() == right.dtype(), "subtract: {} minus {}", left.describe(),
        right.describe());
  Tensor y = difference(left, right);
  Tape* tape = tape_of({&a, &b});
  if (tape == nullptr) return y;
  return tape->record(std::move(y), std::make_unique<SubtractNode>(), {&a, &b});
}

}  // namespace sae
