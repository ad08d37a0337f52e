// The order in every op's file: dispatch to the kernels, the node with its backward, and last the op itself with its
// checks.
#include "ops/skeleton/skeleton.h"

#include "engine/error.h"
#include "ops/skeleton/skeleton_cpu.h"
#include "ops/skeleton/skeleton_cuda.h"

namespace sae {
namespace {

/// f on every element. The switch is the dispatch: a new device is a new case, and the compiler asks for it here.
/// SIMT_CALL takes the function out of the namespace of the device, simt or cuda.
Tensor forward(const Tensor& x, double slope) {
  Device& device = x.device();
  Writable y = Tensor::empty(device, x.shape(), x.dtype());
  visit_real("skeleton", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T factor = static_cast<T>(slope);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::skeleton(x.data<T>(), factor, y.data<T>(), x.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), skeleton, device.stream(), x.data<T>(), factor, y.data<T>(), x.elements());
    }
  });
  return std::move(y).freeze();
}

/// f'(x) g on every element.
Tensor backward(const Tensor& x, const Tensor& g, double slope) {
  require_same_device("skeleton backward", {&x, &g});
  Device& device = g.device();
  Writable out = Tensor::empty(device, g.shape(), g.dtype());
  visit_real("skeleton", g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T factor = static_cast<T>(slope);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::skeleton_backward(x.data<T>(), g.data<T>(), factor, out.data<T>(), g.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), skeleton_backward, device.stream(), x.data<T>(), g.data<T>(), factor,
                         out.data<T>(), g.elements());
    }
  });
  return std::move(out).freeze();
}

/// What backward needs to know later. Keep as little as the derivative can be computed from.
struct SkeletonNode final : Node {
  Value x;
  double slope = 0;

  std::string_view name() const override { return "skeleton"; }
  int64_t bytes_saved() const override { return bytes_of(x); }

  // The gradient comes in whatever layout the op behind it sent. A dense x may receive any; it is passed on in the same
  // layout, so that a sparse gradient never becomes a dense one. A sparse x has a gradient at its own places only.
  void backward(const Value& gradient, Gradients& to) override {
    const auto* dense = std::get_if<Tensor>(&x);
    const bool same = same_pattern(x, gradient);
    CHECK(same || dense != nullptr, "skeleton backward: {} has a gradient over the same stored places, got {}",
          describe(x), describe(gradient));
    const Tensor there = same ? stored_values(x) : elements_at(*dense, gradient);
    to.add(0, with_stored_values(gradient, sae::backward(there, stored_values(gradient), slope)));
  }
};

}  // namespace

Variable skeleton(const Variable& x, double slope) {
  CHECK(slope >= 0 && slope < 1, "skeleton: slope {}, expected at least 0 and below 1", slope);
  Value y = with_stored_values(x.value, forward(stored_values(x.value), slope));
  if (x.tape == nullptr) return y;  // a constant: nothing to record (with several inputs: tape_of)
  auto node = std::make_unique<SkeletonNode>();
  node->x = x.value;
  node->slope = slope;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
