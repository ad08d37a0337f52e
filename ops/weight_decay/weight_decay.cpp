#include "ops/weight_decay/weight_decay.h"

#include "engine/error.h"
#include "engine/ordered_sum.h"

namespace sae {
namespace {

struct WeightDecayNode final : Node {
  Tensor w;

  std::string_view name() const override { return "weight_decay"; }

  void backward(const Value& gradient, Gradients& to) override {
    const double factor = require_dense("weight_decay", gradient).to(Dtype::f64).data<double>()[0];
    Writable out = Tensor::empty(w.device(), w.shape(), w.dtype());
    visit_real("weight_decay", w.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* from = w.data<T>();
      T* dw = out.data<T>();
      parallel_for(w.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) dw[i] = static_cast<T>(factor) * from[i];
      });
    });
    to.add(0, Value(std::move(out).freeze()));
  }
};

}  // namespace

Variable weight_decay(const Variable& w) {
  const Tensor& values = require_dense("weight_decay", w.value);
  if (values.device().kind() != DeviceKind::cpu) refuse_device("weight_decay", values.device().kind());
  const double sum = visit_real("weight_decay", values.dtype(), [&](auto zero) {
    const auto* from = values.data<decltype(zero)>();
    return ordered_sum(values.elements(), 32768, [&](int64_t begin, int64_t end) {
      return lane_sum(end - begin, [&](int64_t i) {
        const auto value = static_cast<double>(from[begin + i]);
        return value * value;
      });
    });
  });
  Tensor loss = Tensor::scalar(values.device(), sum / 2).to(values.dtype());
  if (w.tape == nullptr) return loss;
  auto node = std::make_unique<WeightDecayNode>();
  node->w = values;
  return w.tape->record(std::move(loss), std::move(node), {&w});
}

}  // namespace sae
