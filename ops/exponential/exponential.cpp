#include "ops/exponential/exponential.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "ops/exponential/exponential_cuda.h"

namespace sae {
namespace {

struct ExponentialNode final : Node {
  Tensor y;

  std::string_view name() const override { return "exponential"; }
  int64_t bytes_saved() const override { return y.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("exponential backward", gradient);
    CHECK(g.elements() == y.elements(), "exponential backward: a gradient {} for {}", g.describe(), y.describe());
    require_same_device("exponential backward", {&y, &g});
    Device& device = g.device();
    Writable out = Tensor::empty(device, g.shape(), g.dtype());
    visit_real("exponential", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      switch (device.kind()) {
        case DeviceKind::cpu:
          std::transform(g.data<T>(), g.data<T>() + g.elements(), y.data<T>(), out.data<T>(), std::multiplies<>());
          return;
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), exponential_backward, device.stream(), y.data<T>(), g.data<T>(),
                           out.data<T>(), g.elements());
      }
    });
    to.add(0, Value(std::move(out).freeze()));
  }
};

}  // namespace

Variable exponential(const Variable& x) {
  const Tensor& from = require_dense("exponential", x.value);
  Device& device = from.device();
  Writable out = Tensor::empty(device, from.shape(), from.dtype());
  visit_real("exponential", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        std::transform(from.data<T>(), from.data<T>() + from.elements(), out.data<T>(),
                       [](T value) { return std::exp(value); });
        return;
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), exponential, device.stream(), from.data<T>(), out.data<T>(), from.elements());
    }
  });
  Tensor y = std::move(out).freeze();
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<ExponentialNode>();
  node->y = y;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
