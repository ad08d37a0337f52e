#include "ops/sigmoid/sigmoid.h"

#include "engine/error.h"
#include "ops/sigmoid/sigmoid_cpu.h"
#include "ops/sigmoid/sigmoid_cuda.h"

namespace sae {
namespace {

Tensor forward(const Tensor& x) {
  Device& device = x.device();
  Writable y = Tensor::empty(device, x.shape(), x.dtype());
  visit_real("sigmoid", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::sigmoid(x.data<T>(), y.data<T>(), x.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), sigmoid, device.stream(), x.data<T>(), y.data<T>(), x.elements());
    }
  });
  return std::move(y).freeze();
}

struct SigmoidNode final : Node {
  Tensor y;

  std::string_view name() const override { return "sigmoid"; }
  int64_t bytes_saved() const override { return y.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor there = std::holds_alternative<Tensor>(gradient) ? y : elements_at(y, gradient);
    const Tensor& g = stored_values(gradient);
    require_same_device("sigmoid backward", {&y, &g});
    Device& device = g.device();
    Writable out = Tensor::empty(device, g.shape(), g.dtype());
    visit_real("sigmoid", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      switch (device.kind()) {
        case DeviceKind::cpu:
          return cpu::sigmoid_backward(there.data<T>(), g.data<T>(), out.data<T>(), g.elements());
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), sigmoid_backward, device.stream(), there.data<T>(), g.data<T>(),
                           out.data<T>(), g.elements());
      }
    });
    to.add(0, with_stored_values(gradient, std::move(out).freeze()));
  }
};

}  // namespace

Variable sigmoid(const Variable& x) {
  Tensor y = forward(require_dense("sigmoid", x.value));
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<SigmoidNode>();
  node->y = y;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
