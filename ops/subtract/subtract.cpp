#include "ops/subtract/subtract.h"

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {
namespace {

template <class T>
Tensor difference(const Tensor& a, const Tensor& b) {
  Writable out = Tensor::empty(a.device(), a.shape(), a.dtype());
  const T *left = a.data<T>(), *right = b.data<T>();
  T* y = out.data<T>();
  parallel_for(a.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = left[i] - right[i];
  });
  return std::move(out).freeze();
}

template <class T>
Tensor negated(const Tensor& a) {
  return difference<T>(Tensor::zeros(a.device(), a.shape(), a.dtype()), a);
}

struct SubtractNode final : Node {
  std::string_view name() const override { return "subtract"; }
  void backward(const Value& gradient, Gradients& to) override {
    to.add(0, gradient);
    if (!to.wanted(1)) return;
    const Tensor& g = require_dense("subtract backward", gradient);
    to.add(1, visit_real("subtract", g.dtype(), [&](auto zero) { return negated<decltype(zero)>(g); }));
  }
};

}  // namespace

Variable subtract(const Variable& a, const Variable& b) {
  const Tensor& left = require_dense("subtract", a.value);
  const Tensor& right = require_dense("subtract", b.value);
  CHECK(left.shape() == right.shape() && left.dtype() == right.dtype(), "subtract: {} minus {}", left.describe(),
        right.describe());
  if (left.device().kind() != DeviceKind::cpu) refuse_device("subtract", left.device().kind());
  Tensor y = visit_real("subtract", left.dtype(), [&](auto zero) { return difference<decltype(zero)>(left, right); });
  Tape* tape = tape_of({&a, &b});
  if (tape == nullptr) return y;
  return tape->record(std::move(y), std::make_unique<SubtractNode>(), {&a, &b});
}

}  // namespace sae
