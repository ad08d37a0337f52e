#include "ops/weight_decay/weight_decay.h"

#include "engine/error.h"
#include "engine/ordered_sum.h"
#include "ops/weight_decay/weight_decay_cuda.h"

namespace sae {
namespace {

template <class T>
T half_square_sum_on_cpu(const T* from, int64_t count) {
  const double sum = ordered_sum(count, 32768, [&](int64_t begin, int64_t end) {
    return lane_sum(end - begin, [&](int64_t i) {
      const auto value = static_cast<double>(from[begin + i]);
      return value * value;
    });
  });
  return static_cast<T>(sum / 2);
}

template <class T>
void backward_on_cpu(const T* from, T factor, T* dw, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dw[i] = factor * from[i];
  });
}

struct WeightDecayNode final : Node {
  Tensor w;

  std::string_view name() const override { return "weight_decay"; }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("weight_decay", gradient);
    require_same_device("weight_decay backward", {&w, &g});
    Device& device = w.device();
    Writable out = Tensor::empty(device, w.shape(), w.dtype());
    visit_real("weight_decay", w.dtype(), [&](auto zero) {
      using T = decltype(zero);
      switch (device.kind()) {
        case DeviceKind::cpu:
          return backward_on_cpu(w.data<T>(), g.data<T>()[0], out.data<T>(), w.elements());
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), weight_decay_backward, device.stream(), w.data<T>(), g.data<T>(),
                           out.data<T>(), w.elements());
      }
    });
    to.add(0, Value(std::move(out).freeze()));
  }
};

}  // namespace

Variable weight_decay(const Variable& w) {
  const Tensor& values = require_dense("weight_decay", w.value);
  Device& device = values.device();
  Writable sum = Tensor::empty(device, {1}, values.dtype());
  visit_real("weight_decay", values.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        sum.data<T>()[0] = half_square_sum_on_cpu(values.data<T>(), values.elements());
        return;
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), weight_decay, device, values.data<T>(), values.elements(), sum.data<T>());
    }
  });
  Tensor loss = std::move(sum).freeze();
  if (w.tape == nullptr) return loss;
  auto node = std::make_unique<WeightDecayNode>();
  node->w = values;
  return w.tape->record(std::move(loss), std::move(node), {&w});
}

}  // namespace sae
