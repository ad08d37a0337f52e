#include "ops/matmul/matmul.h"

#include <limits>

#include "engine/csr_product_cuda.h"
#include "engine/error.h"
#include "engine/simd.h"
#include "ops/matmul/dense_cpu.h"
#include "ops/matmul/matmul_cuda.h"
#include "ops/matmul/sparse_cpu.h"

namespace sae {
namespace {

double stored_entries(const Value& value) { return static_cast<double>(stored_values(value).elements()); }

template <class T>
void product_on_cpu(const T* a, const T* b, T* y, Device& device, const cpu::ProductSizes& sizes, Precision precision) {
  if constexpr (std::is_same_v<T, float>) {
    const bool empty = sizes.rows == 0 || sizes.inner == 0 || sizes.cols == 0;
    if (!empty && sizes.rows == 1 && !sizes.transpose_b) {
      return cpu::row_product(a, b, sizes.inner, sizes.cols, y);
    }
    if (!empty) return cpu::onednn_product(device, a, b, y, sizes, precision);
  }
  cpu::reference_product(a, b, y, sizes);
}

/// Of bf16 factors, in f32.
Tensor product_of_rounded(const Tensor& a, const Tensor& b, const cpu::ProductSizes& sizes) {
  Device& device = a.device();
  const bool on_cpu = device.kind() == DeviceKind::cpu;
  if (on_cpu && (!has_bf16_products() || sizes.rows == 0 || sizes.inner == 0 || sizes.cols == 0)) {
    return dense_product(a.to(Dtype::f32), sizes.transpose_a, b.to(Dtype::f32), sizes.transpose_b);
  }
  Writable y = Tensor::empty(device, {sizes.rows, sizes.cols}, Dtype::f32);
  const bfloat16 *left = a.data<bfloat16>(), *right = b.data<bfloat16>();
  if (on_cpu) {
    cpu::onednn_product(left, right, y.data<float>(), sizes);
  } else {
    SIMT_CALL(device.kind(), dense_product, device, left, right, y.data<float>(), sizes);
  }
  return std::move(y).freeze();
}

}  // namespace

Tensor dense_product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, Precision precision) {
  const cpu::ProductSizes sizes = {transpose_a ? a.cols() : a.rows(), transpose_a ? a.rows() : a.cols(),
                                   transpose_b ? b.rows() : b.cols(), transpose_a, transpose_b};
  CHECK(sizes.inner == (transpose_b ? b.cols() : b.rows()), "matmul: {}{} times {}{}: the inner extents differ",
        a.describe(), transpose_a ? " transposed" : "", b.describe(), transpose_b ? " transposed" : "");
  CHECK(a.dtype() == b.dtype(), "matmul: {} times {}: the dtypes differ", a.describe(), b.describe());
  require_same_device("matmul", {&a, &b});
  Device& device = a.device();
  if (a.dtype() == Dtype::bf16) return product_of_rounded(a, b, sizes);
  Writable y = Tensor::empty(device, {sizes.rows, sizes.cols}, a.dtype());
  visit_real("matmul", a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return product_on_cpu(a.data<T>(), b.data<T>(), y.data<T>(), device, sizes, precision);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        if (std::is_same_v<T, float> && precision == Precision::bf16) {
          const Tensor left = a.to(Dtype::bf16), right = b.to(Dtype::bf16);
          return SIMT_CALL(device.kind(), dense_product, device, left.data<bfloat16>(), right.data<bfloat16>(),
                           y.data<float>(), sizes);
        }
        return SIMT_CALL(device.kind(), dense_product, device, a.data<T>(), b.data<T>(), y.data<T>(), sizes);
    }
  });
  return std::move(y).freeze();
}

namespace {

/// sparse_product by a library, where there is one: of compressed rows on a device. Only for values, in which no column
/// repeats within a row.
Tensor decode(const Value& sparse, const Tensor& dense) {
  const auto* rows = std::get_if<CompressedRows>(&sparse);
  Device& device = dense.device();
  const bool fits = rows != nullptr && device.kind() != DeviceKind::cpu && cols_of(sparse) == dense.rows() &&
                    dtype_of(sparse) == dense.dtype() && rows->stored() <= std::numeric_limits<int32_t>::max();
  if (!fits) return sparse_product(sparse, dense);
  require_same_device("matmul", {&rows->values, &dense});
  Writable y = Tensor::empty(device, {rows->rows(), dense.cols()}, dense.dtype());
  visit_real("matmul", dense.dtype(), [&](auto zero) {
    using T = decltype(zero);
    SIMT_CALL(device.kind(), csr_product, device, sparse_rows("matmul", sparse), rows->stored(), rows->values.data<T>(),
              dense.data<T>(), dense.rows(), dense.cols(), y.data<T>());
  });
  return std::move(y).freeze();
}

}  // namespace

Tensor sparse_product(const Value& sparse, const Tensor& dense) {
  CHECK(cols_of(sparse) == dense.rows() && dtype_of(sparse) == dense.dtype(), "matmul: {} times dense {}",
        describe(sparse), dense.describe());
  require_same_device("matmul", {&stored_values(sparse), &dense});
  Device& device = dense.device();
  Writable y = Tensor::empty(device, {rows_of(sparse), dense.cols()}, dense.dtype());
  visit_real("matmul", dense.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const SparseRows entries = sparse_rows("matmul", sparse);
    const T* values = stored_values(sparse).data<T>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::sparse_product(entries, values, dense.data<T>(), dense.cols(), y.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), sparse_product, device.stream(), entries, values, dense.data<T>(), dense.cols(),
                         y.data<T>());
    }
  });
  return std::move(y).freeze();
}

Value sampled_product(const Value& pattern, const Tensor& g, const Tensor& w) {
  CHECK(rows_of(pattern) == g.rows() && cols_of(pattern) == w.rows() && g.cols() == w.cols() && g.dtype() == w.dtype(),
        "matmul: {} times {} transposed, at the places of {}", g.describe(), w.describe(), describe(pattern));
  require_same_device("matmul", {&stored_values(pattern), &g, &w});
  Device& device = g.device();
  Writable out = Tensor::empty(device, stored_values(pattern).shape(), g.dtype());
  visit_real("matmul", g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const SparseRows places = sparse_rows("matmul", pattern);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::sampled_product(places, g.data<T>(), w.data<T>(), g.cols(), out.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), sampled_product, device.stream(), places, g.data<T>(), w.data<T>(), g.cols(),
                         out.data<T>());
    }
  });
  return with_stored_values(pattern, std::move(out).freeze());
}

namespace {

struct MatmulNode final : Node {
  Value a;   // [rows, inner]
  Tensor b;  // [inner, cols], or [cols, inner] with transpose_b
  MatmulOptions options;

  std::string_view name() const override { return "matmul"; }
  int64_t bytes_saved() const override { return bytes_of(a) + b.bytes(); }
  double flops() const override {
    const int64_t cols = options.transpose_b ? b.rows() : b.cols();
    return 2.0 * stored_entries(a) * static_cast<double>(cols);
  }

  void backward(const Value& gradient, Gradients& to) override {
    const auto* dense_a = std::get_if<Tensor>(&a);
    const auto* dense_g = std::get_if<Tensor>(&gradient);
    if (dense_a != nullptr && dense_g != nullptr) return dense_backward(*dense_a, *dense_g, to);
    if (dense_a != nullptr) return sparse_gradient_backward(*dense_a, gradient, to);
    CHECK(dense_g != nullptr, "matmul backward: {} with a gradient {} has no product", describe(a), describe(gradient));
    if (to.wanted(0)) to.add(0, sampled_product(a, *dense_g, b));
    to.add(1, DeferredProduct{a, *dense_g});
  }

  void dense_backward(const Tensor& dense_a, const Tensor& g, Gradients& to) const {
    const bool transposed = options.transpose_b;
    if (to.wanted(0)) {
      const Tensor& left = to.column_sum_suffices(0) ? column_sum(g) : g;
      to.add(0, dense_product(left, false, b, !transposed, options.precision));
    }
    if (!to.wanted(1)) return;
    to.add(1, transposed ? dense_product(g, true, dense_a, false, options.precision)
                         : dense_product(dense_a, true, g, false, options.precision));
  }

  void sparse_gradient_backward(const Tensor& dense_a, const Value& g, Gradients& to) const {
    CHECK(options.transpose_b, "matmul backward: a gradient {} needs b stored as [cols, inner] (transpose_b)",
          describe(g));
    if (to.column_sum_suffices(0)) {
      to.add(0, dense_product(column_sum(g), false, b, false));
    } else if (to.wanted(0)) {
      to.add(0, sparse_product(g, b));
    }
    to.add(1, DeferredProduct{g, dense_a});
  }
};

}  // namespace

Variable matmul(const Variable& a, const Variable& b, MatmulOptions options) {
  const Tensor& right = require_dense("matmul", b.value);
  const auto* left = std::get_if<Tensor>(&a.value);
  CHECK(left != nullptr || !options.transpose_b,
        "matmul: {} times a transposed matrix has no product; store b as [n, width]", describe(a.value));
  Tensor y = left != nullptr ? dense_product(*left, false, right, options.transpose_b, options.precision)
                             : decode(a.value, right);
  Tape* tape = tape_of({&a, &b});
  if (tape == nullptr) return y;
  auto node = std::make_unique<MatmulNode>();
  node->a = a.value;
  node->b = right;
  node->options = options;
  return tape->record(std::move(y), std::move(node), {&a, &b});
}

}  // namespace sae
