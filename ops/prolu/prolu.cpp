#include "ops/prolu/prolu.h"

#include "engine/error.h"
#include "ops/prolu/prolu_cpu.h"
#include "ops/prolu/prolu_cuda.h"

namespace sae {
namespace {

Tensor forward(const Tensor& m, const Tensor& b) {
  CHECK(b.elements() == m.cols() && b.cols() == m.cols() && b.dtype() == m.dtype(),
        "prolu: {} with a bias {}; expected a row of {} elements of the same dtype", m.describe(), b.describe(),
        m.cols());
  require_same_device("prolu", {&m, &b});
  Device& device = m.device();
  Writable y = Tensor::empty(device, m.shape(), m.dtype());
  visit_real("prolu", m.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::prolu(m.data<T>(), b.data<T>(), y.data<T>(), m.rows(), m.cols());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), prolu, device.stream(), m.data<T>(), b.data<T>(), y.data<T>(), m.rows(),
                         m.cols());
    }
  });
  return std::move(y).freeze();
}

struct ProluNode final : Node {
  Tensor y;
  ProluGradient kind = ProluGradient::relu;

  std::string_view name() const override { return "prolu"; }
  int64_t bytes_saved() const override { return y.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor there = std::holds_alternative<Tensor>(gradient) ? y : elements_at(y, gradient);
    const Tensor& g = stored_values(gradient);
    require_same_device("prolu backward", {&y, &g});
    Device& device = g.device();
    Writable dm = Tensor::empty(device, g.shape(), g.dtype());
    Writable db = Tensor::empty(device, g.shape(), g.dtype());
    visit_real("prolu", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const bool straight = kind == ProluGradient::straight_through;
      switch (device.kind()) {
        case DeviceKind::cpu:
          return cpu::prolu_backward(there.data<T>(), g.data<T>(), straight, dm.data<T>(), db.data<T>(), g.elements());
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), prolu_backward, device.stream(), there.data<T>(), g.data<T>(), straight,
                           dm.data<T>(), db.data<T>(), g.elements());
      }
    });
    to.add(0, with_stored_values(gradient, std::move(dm).freeze()));
    if (to.wanted(1)) to.add(1, column_sum(with_stored_values(gradient, std::move(db).freeze())));
  }
};

}  // namespace

Variable prolu(const Variable& m, const Variable& b, ProluGradient gradient) {
  Tensor y = forward(require_dense("prolu", m.value), require_dense("prolu", b.value));
  Tape* tape = tape_of({&m, &b});
  if (tape == nullptr) return y;
  auto node = std::make_unique<ProluNode>();
  node->y = y;
  node->kind = gradient;
  return tape->record(std::move(y), std::move(node), {&m, &b});
}

}  // namespace sae
