#include "ops/exponential/exponential.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace sae {
namespace {

struct ExponentialNode final : Node {
  Tensor y;

  std::string_view name() const override { return "exponential"; }
  int64_t bytes_saved() const override { return y.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("exponential backward", gradient);
    CHECK(g.elements() == y.elements(), "exponential backward: a gradient {} for {}", g.describe(), y.describe());
    Writable out = Tensor::empty(g.device(), g.shape(), g.dtype());
    visit_real("exponential", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::transform(g.data<T>(), g.data<T>() + g.elements(), y.data<T>(), out.data<T>(), std::multiplies<>());
    });
    to.add(0, Value(std::move(out).freeze()));
  }
};

}  // namespace

Variable exponential(const Variable& x) {
  const Tensor& from = require_dense("exponential", x.value);
  if (from.device().kind() != DeviceKind::cpu) refuse_device("exponential", from.device().kind());
  Writable out = Tensor::empty(from.device(), from.shape(), from.dtype());
  visit_real("exponential", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::transform(from.data<T>(), from.data<T>() + from.elements(), out.data<T>(),
                   [](T value) { return std::exp(value); });
  });
  Tensor y = std::move(out).freeze();
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<ExponentialNode>();
  node->y = y;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
