#include "ops/gated_relu/gated_relu.h"

#include "engine/error.h"
#include "ops/gated_relu/gated_relu_cpu.h"

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
    if (g.device().kind() != DeviceKind::cpu) refuse_device("gated_relu", g.device().kind());
    Writable passed = Tensor::empty(g.device(), g.shape(), g.dtype());
    Writable times_u = Tensor::empty(g.device(), g.shape(), g.dtype());
    visit_real("gated_relu", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      cpu::gated_relu_backward(active.data<T>(), input.data<T>(), g.data<T>(), passed.data<T>(), times_u.data<T>(),
                               g.elements());
    });
    const Value open = with_stored_values(gradient, std::move(passed).freeze());
    to.add(0, scaled_columns(open));
    to.add(2, column_sum(with_stored_values(gradient, std::move(times_u).freeze())));
    to.add(3, column_sum(open));
  }

  /// Each entry times its column's scale.
  Value scaled_columns(const Value& open) const {
    const Tensor& values = stored_values(open);
    Writable out = Tensor::empty(values.device(), values.shape(), values.dtype());
    const bool dense = std::holds_alternative<Tensor>(open);
    const int32_t* columns = dense ? nullptr : sparse_rows("gated_relu", open).index;
    visit_real("gated_relu", values.dtype(), [&](auto zero) {
      using T = decltype(zero);
      cpu::scale_columns(values.data<T>(), columns, scale.data<T>(), scale.cols(), out.data<T>(), values.elements());
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
  if (x.device().kind() != DeviceKind::cpu) refuse_device("gated_relu", x.device().kind());
  Writable out = Tensor::empty(x.device(), x.shape(), x.dtype());
  visit_real("gated_relu", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    cpu::gated_relu(x.data<T>(), gate.data<T>(), factors.data<T>(), bias.data<T>(), out.data<T>(), x.rows(), x.cols());
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
