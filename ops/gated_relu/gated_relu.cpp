#include "ops/gated_relu/gated_relu.h"

#include "engine/error.h"
#include "ops/gated_relu/gated_relu_cpu.h"
#include "ops/gated_relu/gated_relu_cuda.h"

namespace sae {
namespace {

void check_row(const Tensor& u, const Tensor& row, std::string_view what) {
  CHECK(row.elements() == u.cols() && row.cols() == u.cols() && row.dtype() == u.dtype(),
        "gated_relu: {} with a {} {}; expected a row of {} elements of the same dtype", u.describe(), what,
        row.describe(), u.cols());
}

struct GatedReluNode final : Node {
  Tensor u, z, scale;

  std::string_view name() const override { return "gated_relu"; }
  int64_t bytes_saved() const override { return u.bytes() + z.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const bool dense = std::holds_alternative<Tensor>(gradient);
    const Tensor active = dense ? z : elements_at(z, gradient), input = dense ? u : elements_at(u, gradient);
    const Tensor& g = stored_values(gradient);
    require_same_device("gated_relu backward", {&z, &g});
    Device& device = g.device();
    Writable passed = Tensor::empty(device, g.shape(), g.dtype());
    Writable times_u = Tensor::empty(device, g.shape(), g.dtype());
    visit_real("gated_relu", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      switch (device.kind()) {
        case DeviceKind::cpu:
          return cpu::gated_relu_backward(active.data<T>(), input.data<T>(), g.data<T>(), passed.data<T>(),
                                          times_u.data<T>(), g.elements());
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), gated_relu_backward, device.stream(), active.data<T>(), input.data<T>(),
                           g.data<T>(), passed.data<T>(), times_u.data<T>(), g.elements());
      }
    });
    const Value open = with_stored_values(gradient, std::move(passed).freeze());
    to.add(0, scaled_columns(open));
    to.add(2, column_sum(with_stored_values(gradient, std::move(times_u).freeze())));
    to.add(3, column_sum(open));
  }

  /// Each entry times its column's scale.
  Value scaled_columns(const Value& open) const {
    const Tensor& values = stored_values(open);
    Device& device = values.device();
    Writable out = Tensor::empty(device, values.shape(), values.dtype());
    const EntryColumns columns = entry_columns(open);
    visit_real("gated_relu", values.dtype(), [&](auto zero) {
      using T = decltype(zero);
      switch (device.kind()) {
        case DeviceKind::cpu:
          return cpu::scale_columns(values.data<T>(), columns.index, scale.data<T>(), scale.cols(), out.data<T>(),
                                    values.elements());
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), scale_columns, device.stream(), values.data<T>(), columns, scale.data<T>(),
                           out.data<T>(), values.elements());
      }
    });
    return with_stored_values(open, std::move(out).freeze());
  }
};

}  // namespace

Variable gated_relu(const Variable& u, const Variable& gate_bias, const Variable& scale,
                    const Variable& magnitude_bias) {
  const Tensor& x = require_dense("gated_relu", u.value);
  const Tensor& gate = require_dense("gated_relu", gate_bias.value);
  const Tensor& factors = require_dense("gated_relu", scale.value);
  const Tensor& bias = require_dense("gated_relu", magnitude_bias.value);
  check_row(x, gate, "gate bias");
  check_row(x, factors, "scale");
  check_row(x, bias, "magnitude bias");
  require_same_device("gated_relu", {&x, &gate, &factors, &bias});
  Device& device = x.device();
  Writable out = Tensor::empty(device, x.shape(), x.dtype());
  visit_real("gated_relu", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::gated_relu(x.data<T>(), gate.data<T>(), factors.data<T>(), bias.data<T>(), out.data<T>(), x.rows(),
                               x.cols());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), gated_relu, device.stream(), x.data<T>(), gate.data<T>(), factors.data<T>(),
                         bias.data<T>(), out.data<T>(), x.rows(), x.cols());
    }
  });
  Tensor z = std::move(out).freeze();
  Tape* tape = tape_of({&u, &gate_bias, &scale, &magnitude_bias});
  if (tape == nullptr) return z;
  auto node = std::make_unique<GatedReluNode>();
  node->u = x;
  node->z = z;
  node->scale = factors;
  return tape->record(std::move(z), std::move(node), {&u, &gate_bias, &scale, &magnitude_bias});
}

}  // namespace sae
