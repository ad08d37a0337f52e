#include "ops/add_row/add_row.h"

#include "engine/error.h"
#include "ops/add_row/add_row_cpu.h"
#include "ops/add_row/add_row_cuda.h"

namespace sae {
namespace {

Tensor forward(const Tensor& x, const Tensor& b) {
  CHECK(b.elements() == x.cols() && b.cols() == x.cols() && b.dtype() == x.dtype(),
        "add_row: {} plus a row {}; expected a row of {} elements of the same dtype", x.describe(), b.describe(),
        x.cols());
  require_same_device("add_row", {&x, &b});
  Device& device = x.device();
  Writable y = Tensor::empty(device, x.shape(), x.dtype());
  visit_real("add_row", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::add_row(x.data<T>(), b.data<T>(), y.data<T>(), x.rows(), x.cols());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), add_row, device.stream(), x.data<T>(), b.data<T>(), y.data<T>(), x.rows(),
                         x.cols());
    }
  });
  return std::move(y).freeze();
}

struct AddRowNode final : Node {
  bool constant_x = false;

  std::string_view name() const override { return "add_row"; }
  bool column_sum_suffices() const override { return constant_x; }

  void backward(const Value& gradient, Gradients& to) override {
    if (to.wanted(1)) {
      const Tensor sum = column_sum(gradient);
      to.add(1, sum);
      if (to.column_sum_suffices(0)) return to.add(0, Value(sum));
    }
    to.add(0, gradient);
  }
};

}  // namespace

Variable add_row(const Variable& x, const Variable& b) {
  Tensor y = forward(require_dense("add_row", x.value), require_dense("add_row", b.value));
  Tape* tape = tape_of({&x, &b});
  if (tape == nullptr) return y;
  auto node = std::make_unique<AddRowNode>();
  node->constant_x = x.tape == nullptr;
  return tape->record(std::move(y), std::move(node), {&x, &b});
}

}  // namespace sae
