#include "ops/reconstruction_loss/reconstruction_loss.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/reconstruction_loss/reconstruction_loss_cpu.h"
#include "ops/reconstruction_loss/reconstruction_loss_cuda.h"

namespace sae {
namespace {

constexpr std::string_view op = "reconstruction_loss";

struct Forward {
  Tensor residual;
  Tensor products;  // undefined unless asked for
  Tensor loss;      // [1]
};

template <class T>
Tensor loss_on_cpu(const ReconstructionTask<T>& task, const Tensor& x, double scale) {
  const double squares = cpu::reconstruct(task);
  const double loss = x.elements() == 0 ? 0.0 : scale * squares / static_cast<double>(x.elements());
  return Tensor::scalar(x.device(), static_cast<T>(loss));
}

template <class T>
Tensor loss_on_device(const ReconstructionTask<T>& task, const Tensor& x, double scale) {
  Writable loss = Tensor::empty(x.device(), {1}, x.dtype());
  SIMT_CALL(x.device().kind(), reconstruct, x.device(), task, scale, loss.data<T>());
  return std::move(loss).freeze();
}

Forward forward(const Value& z, const Tensor& dictionary, const Tensor& bias, const Tensor& x, double scale,
                bool with_products) {
  const Tensor& values = stored_values(z);
  require_same_device(op, {&values, &dictionary, &bias, &x});
  const SparseRows entries = sparse_rows(op, z);
  CHECK(cols_of(z) == dictionary.rows() && rows_of(z) == x.rows() && dictionary.cols() == x.cols() &&
            bias.elements() == x.cols(),
        "{}: {} times {} plus a row of {} for data {}", op, describe(z), dictionary.describe(), bias.elements(),
        x.describe());
  CHECK(values.dtype() == x.dtype() && dictionary.dtype() == x.dtype() && bias.dtype() == x.dtype(),
        "{}: {} times {} plus {} for data {}: the dtypes differ", op, describe(z), dictionary.describe(),
        bias.describe(), x.describe());
  Writable residual = Tensor::empty(x.device(), x.shape(), x.dtype());
  Writable products = Tensor::empty(x.device(), with_products ? values.shape() : Shape{0}, x.dtype());
  Forward result;
  result.loss = visit_real(op, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const ReconstructionTask<T> task = {
        entries,     values.data<T>(), dictionary.data<T>(), bias.data<T>(),
        x.data<T>(), x.cols(),         residual.data<T>(),   with_products ? products.data<T>() : nullptr};
    switch (x.device().kind()) {
      case DeviceKind::cpu:
        return loss_on_cpu(task, x, scale);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return loss_on_device(task, x, scale);
    }
    refuse_device(op, x.device().kind());
  });
  result.residual = std::move(residual).freeze();
  if (with_products) result.products = std::move(products).freeze();
  return result;
}

/// What the gradient g of the loss is multiplied with: f = g 2 scale / elements.
struct LossFactor {
  Tensor gradient;  // [1]
  double scale, elements;
};

/// f x. On a device f is computed there, so that nobody waits.
Tensor scaled(const Tensor& x, const LossFactor& factor) {
  Writable out = Tensor::empty(x.device(), x.shape(), x.dtype());
  visit_real(op, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* g = factor.gradient.data<T>();
    const T* from = x.data<T>();
    T* to = out.data<T>();
    switch (x.device().kind()) {
      case DeviceKind::cpu: {
        const T f = loss_factor(*g, factor.scale, factor.elements);
        return parallel_for(x.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) to[i] = f * from[i];
        });
      }
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(x.device().kind(), scale_by_loss, x.device().stream(), from, g, factor.scale, factor.elements,
                         to, x.elements());
    }
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
    const LossFactor factor = {require_dense(op, gradient), scale, static_cast<double>(residual.elements())};
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
      forward(z.value, require_dense(op, dictionary.value), require_dense(op, bias.value), x, scale, z.tape != nullptr);
  if (tape == nullptr) return {done.loss, done.residual};
  auto node = std::make_unique<ReconstructionLossNode>();
  node->z = z.value;
  node->residual = done.residual;
  node->products = done.products;
  node->scale = scale;
  return {tape->record(std::move(done.loss), std::move(node), {&z, &dictionary, &bias}), done.residual};
}

}  // namespace sae
