#include "ops/sigmoid/sigmoid.h"

#include "engine/error.h"
#include "ops/sigmoid/sigmoid_cpu.h"

namespace sae {
namespace {

Tensor forward(const Tensor& x) {
  Writable y = Tensor::empty(x.device(), x.shape(), x.dtype());
  switch (x.device().kind()) {
    case DeviceKind::cpu:
      visit_real("sigmoid", x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        cpu::sigmoid(x.data<T>(), y.data<T>(), x.elements());
      });
      return std::move(y).freeze();
    case DeviceKind::simt:
    case DeviceKind::cuda:
      break;
  }
  refuse_device("sigmoid", x.device().kind());
}

struct SigmoidNode final : Node {
  Tensor y;

  std::string_view name() const override { return "sigmoid"; }
  int64_t bytes_saved() const override { return y.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor there = std::holds_alternative<Tensor>(gradient) ? y : elements_at(y, gradient);
    const Tensor& g = stored_values(gradient);
    Writable out = Tensor::empty(g.device(), g.shape(), g.dtype());
    visit_real("sigmoid", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      cpu::sigmoid_backward(there.data<T>(), g.data<T>(), out.data<T>(), g.elements());
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
