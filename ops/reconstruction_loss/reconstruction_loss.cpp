#include "ops/reconstruction_loss/reconstruction_loss.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/row_kernels.h"
#include "ops/reconstruction_loss/reconstruction_loss_cpu.h"

namespace sae {
namespace {

constexpr std::string_view op = "reconstruction_loss";

struct Forward {
  Tensor residual;
  Tensor products;  // undefined unless asked for
  double squares = 0;
};

Forward forward(const Value& z, const Tensor& dictionary, const Tensor& bias, const Tensor& x, bool with_products) {
  const SparseRows entries = sparse_rows(op, z);
  const Tensor& values = stored_values(z);
  CHECK(cols_of(z) == dictionary.rows() && rows_of(z) == x.rows() && dictionary.cols() == x.cols() &&
            bias.elements() == x.cols(),
        "{}: {} times {} plus a row of {} for data {}", op, describe(z), dictionary.describe(), bias.elements(),
        x.describe());
  CHECK(values.dtype() == x.dtype() && dictionary.dtype() == x.dtype() && bias.dtype() == x.dtype(),
        "{}: {} times {} plus {} for data {}: the dtypes differ", op, describe(z), dictionary.describe(),
        bias.describe(), x.describe());
  if (x.device().kind() != DeviceKind::cpu) refuse_device(op, x.device().kind());
  Writable residual = Tensor::empty(x.device(), x.shape(), x.dtype());
  Writable products = Tensor::empty(x.device(), with_products ? values.shape() : Shape{0}, x.dtype());
  Forward result;
  result.squares = visit_real(op, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return cpu::reconstruct<T>({entries, values.data<T>(), dictionary.data<T>(), bias.data<T>(), x.data<T>(), x.cols(),
                                residual.data<T>(), with_products ? products.data<T>() : nullptr});
  });
  result.residual = std::move(residual).freeze();
  if (with_products) result.products = std::move(products).freeze();
  return result;
}

Tensor scaled(const Tensor& x, double factor) {
  Writable out = Tensor::empty(x.device(), x.shape(), x.dtype());
  visit_real(op, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T f = static_cast<T>(factor);
    const T* from = x.data<T>();
    T* to = out.data<T>();
    parallel_for(x.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = f * from[i];
    });
  });
  return std::move(out).freeze();
}

struct ReconstructionLossNode final : Node {
  Value z;
  Tensor residual;
  Tensor products;
  double scale = 1;

  std::string_view name() const override { return op; }
  int64_t bytes_saved() const override { return bytes_of(z) + residual.bytes() + products.bytes(); }
  double flops() const override {
    return 4.0 * static_cast<double>(products.elements()) * static_cast<double>(residual.cols());
  }

  void backward(const Value& gradient, Gradients& to) override {
    const double g = require_dense(op, gradient).to(Dtype::f64).data<double>()[0];
    const double factor = residual.elements() == 0 ? 0.0 : g * 2 * scale / static_cast<double>(residual.elements());
    if (to.wanted(0)) to.add(0, with_stored_values(z, scaled(products, factor)));
    if (to.wanted(1)) to.add(1, DeferredProduct{with_stored_values(z, scaled(stored_values(z), factor)), residual});
    if (to.wanted(2)) to.add(2, Value(scaled(column_sum(residual), factor)));
  }
};

}  // namespace

ReconstructionLoss reconstruction_loss(const Variable& z, const Variable& dictionary, const Variable& bias,
                                       const Tensor& x, double scale) {
  Tape* tape = tape_of({&z, &dictionary, &bias});
  Forward done =
      forward(z.value, require_dense(op, dictionary.value), require_dense(op, bias.value), x, z.tape != nullptr);
  const double loss = x.elements() == 0 ? 0.0 : scale * done.squares / static_cast<double>(x.elements());
  Tensor result = Tensor::scalar(x.device(), loss).to(x.dtype());
  if (tape == nullptr) return {result, done.residual};
  auto node = std::make_unique<ReconstructionLossNode>();
  node->z = z.value;
  node->residual = done.residual;
  node->products = done.products;
  node->scale = scale;
  return {tape->record(std::move(result), std::move(node), {&z, &dictionary, &bias}), done.residual};
}

}  // namespace sae
