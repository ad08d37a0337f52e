#include "ops/relu/relu.h"

#include <limits>

#include "engine/error.h"
#include "ops/relu/relu_cpu.h"
#include "ops/relu/relu_cuda.h"

namespace sae {
namespace {

// --- relu ------------------------------------------------------------------------------------------------------------

Tensor forward(const Tensor& x) {
  Device& device = x.device();
  Writable y = Tensor::empty(device, x.shape(), x.dtype());
  visit_real("relu", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::relu(x.data<T>(), y.data<T>(), x.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), relu, device.stream(), x.data<T>(), y.data<T>(), x.elements());
    }
  });
  return std::move(y).freeze();
}

/// g where y > 0, else 0, element by element.
Tensor backward(const Tensor& y, const Tensor& g) {
  require_same_device("relu backward", {&y, &g});
  Device& device = g.device();
  Writable out = Tensor::empty(device, g.shape(), g.dtype());
  visit_real("relu", g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::relu_backward(y.data<T>(), g.data<T>(), out.data<T>(), g.elements());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), relu_backward, device.stream(), y.data<T>(), g.data<T>(), out.data<T>(),
                         g.elements());
    }
  });
  return std::move(out).freeze();
}

struct ReluNode final : Node {
  Value y;

  std::string_view name() const override { return "relu"; }
  int64_t bytes_saved() const override { return bytes_of(y); }

  void backward(const Value& gradient, Gradients& to) override {
    const auto* dense = std::get_if<Tensor>(&y);
    const bool same = same_pattern(y, gradient);
    CHECK(same || dense != nullptr, "relu backward: {} has a gradient over the same stored places, got {}", describe(y),
          describe(gradient));
    const Tensor there = same ? stored_values(y) : elements_at(*dense, gradient);
    to.add(0, with_stored_values(gradient, sae::backward(there, stored_values(gradient))));
  }
};

}  // namespace

Variable relu(const Variable& x) {
  Value y = with_stored_values(x.value, forward(stored_values(x.value)));
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<ReluNode>();
  node->y = y;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

// --- relu_compressed -------------------------------------------------------------------------------------------------

namespace {

template <class T>
CompressedRows compress_positive(const Tensor& x) {
  Device& device = x.device();
  const int64_t rows = x.rows(), cols = x.cols();
  const auto words = device.allocate(static_cast<size_t>(rows * cpu::words_per_row(cols)) * sizeof(uint64_t));
  auto* bits = static_cast<uint64_t*>(words->data());
  Writable offsets = Tensor::empty(device, {rows + 1}, Dtype::i64);
  cpu::mark_positive_rows(x.data<T>(), rows, cols, bits, offsets.data<int64_t>());
  const int64_t stored = offsets.data<int64_t>()[rows];
  Writable index = Tensor::empty(device, {stored}, Dtype::i32);
  Writable values = Tensor::empty(device, {stored}, x.dtype());
  cpu::gather_positive_rows(x.data<T>(), rows, cols, bits, offsets.data<int64_t>(), index.data<int32_t>(),
                            values.data<T>());
  return {std::move(offsets).freeze(), std::move(index).freeze(), std::move(values).freeze(), cols};
}

CompressedRows forward_compressed(const Tensor& x) {
  return visit_real("relu_compressed", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (x.device().kind()) {
      case DeviceKind::cpu:
        return compress_positive<T>(x);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(x.device().kind(), relu_compressed<T>, x);
    }
    refuse_device("relu_compressed", x.device().kind());
  });
}

struct ReluCompressedNode final : Node {
  Value pattern;

  std::string_view name() const override { return "relu_compressed"; }
  int64_t bytes_saved() const override { return bytes_of(pattern); }

  void backward(const Value& gradient, Gradients& to) override {
    CHECK(same_pattern(pattern, gradient),
          "relu_compressed backward: {} has a gradient over the same stored places, got {}", describe(pattern),
          describe(gradient));
    to.add(0, gradient);
  }
};

}  // namespace

Variable relu_compressed(const Variable& x) {
  const Tensor& dense = require_dense("relu_compressed", x.value);
  CHECK(dense.cols() <= std::numeric_limits<int32_t>::max(), "relu_compressed: {} has more columns than i32 counts",
        dense.describe());
  Value y = forward_compressed(dense);
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<ReluCompressedNode>();
  node->pattern = y;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
