#include "ops/auxiliary_loss/auxiliary_loss.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "engine/row_kernels.h"
#include "engine/simd.h"
#include "ops/auxiliary_loss/auxiliary_loss_cpu.h"
#include "ops/auxiliary_loss/auxiliary_loss_device.h"
#include "ops/normalised_mse/normalised_mse.h"

namespace sae {
namespace {

constexpr std::string_view op = "auxiliary_loss";

void check(const DeadDictionary& latents, const Tensor& x, const Tensor& residual) {
  const Tensor &encoder = require_dense(op, latents.encoder.value), &decoder = require_dense(op, latents.decoder.value);
  const Tensor& bias = require_dense(op, latents.encoder_bias.value);
  const Tensor& pre_bias = require_dense(op, latents.pre_bias.value);
  CHECK(encoder.shape() == decoder.shape() && bias.elements() == encoder.rows() && encoder.cols() == x.cols() &&
            pre_bias.elements() == x.cols() && residual.shape() == x.shape(),
        "{}: encoder {}, its bias {}, decoder {} and a bias {} for data {} with residual {}", op, encoder.describe(),
        bias.describe(), decoder.describe(), pre_bias.describe(), x.describe(), residual.describe());
  for (const Tensor* other : {&decoder, &bias, &pre_bias, &x, &residual}) {
    CHECK(other->dtype() == encoder.dtype(), "{}: {} beside an encoder {}: the dtypes differ", op, other->describe(),
          encoder.describe());
  }
  CHECK(latents.dead.dtype() == Dtype::i32 && latents.dead.elements() > 0 && latents.k > 0,
        "{}: {} of the dead latents {}; expected at least one i32 index, and one to choose", op, latents.k,
        latents.dead.describe());
  for (const int32_t latent : latents.dead.to_vector<int32_t>()) {
    CHECK(0 <= latent && latent < encoder.rows(), "{}: a dead latent {} of {}", op, latent, encoder.rows());
  }
  require_same_device(op, {&encoder, &decoder, &bias, &pre_bias, &x, &residual, &latents.dead});
}

/// Calls f(T{}, Stored{}): in which types the passes compute and the products read.
template <class F>
auto visit_types(Dtype dtype, Precision precision, F&& f) {
  return visit_real(op, dtype, [&](auto zero) {
    if constexpr (std::is_same_v<decltype(zero), float>) {
      if (precision == Precision::bf16 && has_bf16_products()) return f(zero, bfloat16{});
    }
    return f(zero, zero);
  });
}

Tensor scaled(const Tensor& x, double factor) {
  Writable out = Tensor::empty(x.device(), x.shape(), x.dtype());
  visit_real(op, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = out.data<T>();
    parallel_for(x.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = static_cast<T>(factor) * from[i];
    });
  });
  return std::move(out).freeze();
}

/// What forward makes and backward needs; as the products read it: bf16, or the dtype of the data.
struct Saved {
  Tensor dead;        // i32 [D]
  Tensor centred;     // [rows, width]
  Tensor decoder;     // [D, width]
  Tensor active;      // [rows, D]
  Tensor missed;      // [rows, width]
  Tensor missed_sum;  // [1, width], of the data's dtype
  double squares = 0;
};

template <class T, class Stored>
Saved forward(const DeadDictionary& latents, const Tensor& x, const Tensor& residual) {
  using Kernels = cpu::AuxiliaryKernels<T, Stored>;
  Device& device = x.device();
  const int64_t rows = x.rows(), width = x.cols(), count = latents.dead.elements();
  const int32_t* dead = latents.dead.data<int32_t>();
  const auto data_of = [](const Variable& v) { return std::get<Tensor>(v.value).template data<T>(); };
  const auto at_dead = [&](const Variable& matrix) {
    Writable out = Tensor::empty(device, {count, width}, dtype_of<Stored>());
    Kernels::store_rows_at(data_of(matrix), dead, count, width, out.template data<Stored>());
    return std::move(out).freeze();
  };
  Saved saved;
  saved.dead = latents.dead;
  Writable centred = Tensor::empty(device, {rows, width}, dtype_of<Stored>());
  Kernels::centre_rows(x.data<T>(), data_of(latents.pre_bias), rows, width, centred.template data<Stored>());
  saved.centred = std::move(centred).freeze();

  Writable pre = dense_product(saved.centred, false, at_dead(latents.encoder), true).into_writable();
  std::vector<T> bias;
  for (int64_t i = 0; i < count; ++i) bias.push_back(data_of(latents.encoder_bias)[dead[i]]);
  Writable active = Tensor::empty(device, {rows, count}, dtype_of<Stored>());
  const int64_t bad = Kernels::activate_rows(pre.template data<T>(), bias.data(), rows, count, latents.k,
                                             active.template data<Stored>());
  if (bad >= 0) {
    throw NotFinite(
        fmt::format("{}: row {} holds a NaN or an infinity; lower the learning rate or look at the data", op, bad));
  }
  saved.active = std::move(active).freeze();

  saved.decoder = at_dead(latents.decoder);
  Writable predicted = dense_product(saved.active, false, saved.decoder, false).into_writable();
  Writable missed = Tensor::empty(device, {rows, width}, dtype_of<Stored>());
  saved.squares = Kernels::add_residual(predicted.template data<T>(), residual.data<T>(), rows, width,
                                        missed.template data<Stored>());
  saved.missed = std::move(missed).freeze();
  saved.missed_sum = column_sum(std::move(predicted).freeze());
  return saved;
}

struct AuxiliaryLossNode final : Node {
  Saved saved;
  Tensor encoder;    // [latents, width], as the forward pass used it
  double scale = 0;  // 1 / (elements times variance)

  std::string_view name() const override { return op; }
  int64_t bytes_saved() const override {
    return saved.centred.bytes() + saved.decoder.bytes() + saved.active.bytes() + saved.missed.bytes();
  }
  double flops() const override {
    return 4.0 * static_cast<double>(saved.active.elements()) * static_cast<double>(saved.decoder.cols());
  }

  void backward(const Value& gradient, Gradients& to) override {
    const double factor = require_dense(op, gradient).to(Dtype::f64).item<double>() * 2 * scale;
    const auto add_rows = [&](int input, const Tensor& values) {
      to.add(input, RowsGradient{saved.dead, scaled(values, factor), encoder.rows()});
    };
    const Tensor pre = gradient_of_pre_activations(factor, to);
    if (to.wanted(0)) add_rows(0, dense_product(pre, true, saved.centred, false));
    if (to.wanted(2)) add_rows(2, dense_product(saved.active, true, saved.missed, false));
  }

 private:
  /// m D^T where a > 0, as the products read it; its column sums are what the two biases need.
  Tensor gradient_of_pre_activations(double factor, Gradients& to) const {
    Writable pre = dense_product(saved.missed, false, saved.decoder, true).into_writable();
    Writable stored = Tensor::empty(encoder.device(), saved.active.shape(), saved.active.dtype());
    const Precision precision = saved.active.dtype() == Dtype::bf16 ? Precision::bf16 : Precision::f32;
    visit_types(encoder.dtype(), precision, [&](auto zero, auto stored_zero) {
      using T = decltype(zero);
      using Stored = decltype(stored_zero);
      cpu::AuxiliaryKernels<T, Stored>::mask_rows(pre.data<T>(), saved.active.data<Stored>(), saved.active.rows(),
                                                  saved.active.cols(), stored.data<Stored>());
      const Tensor sums = scaled(column_sum(std::move(pre).freeze()), factor);
      if (to.wanted(3)) {
        Writable bias = scaled(saved.missed_sum, factor).into_writable();
        std::vector<T> through_encoder(static_cast<size_t>(encoder.cols()));
        weighted_rows(sums.data<T>(), saved.dead.data<int32_t>(), saved.dead.elements(), encoder.data<T>(),
                      encoder.cols(), through_encoder.data());
        add_scaled(bias.data<T>(), T{-1}, through_encoder.data(), encoder.cols());
        to.add(3, Value(std::move(bias).freeze()));
      }
      if (to.wanted(1)) {
        to.add(1, RowsGradient{saved.dead, sums.with_shape({saved.dead.elements(), 1}), encoder.rows()});
      }
    });
    return std::move(stored).freeze();
  }
};

}  // namespace

Variable auxiliary_loss(const DeadDictionary& latents, const Tensor& x, const Tensor& residual, Precision precision) {
  check(latents, x, residual);
  if (x.device().kind() != DeviceKind::cpu) return on_device::auxiliary_loss(latents, x, residual, precision);
  const Tensor& encoder = std::get<Tensor>(latents.encoder.value);
  Saved saved = visit_types(x.dtype(), precision, [&](auto zero, auto stored) {
    return forward<decltype(zero), decltype(stored)>(latents, x, residual);
  });
  const double variance = mean_square_about_mean(residual);
  const double scale = variance == 0 ? 0.0 : 1.0 / (variance * static_cast<double>(x.elements()));
  Tensor loss = Tensor::scalar(x.device(), scale * saved.squares).to(x.dtype());
  Tape* tape = tape_of({&latents.encoder, &latents.encoder_bias, &latents.decoder, &latents.pre_bias});
  if (tape == nullptr) return loss;
  auto node = std::make_unique<AuxiliaryLossNode>();
  node->saved = std::move(saved);
  node->encoder = encoder;
  node->scale = scale;
  return tape->record(std::move(loss), std::move(node),
                      {&latents.encoder, &latents.encoder_bias, &latents.decoder, &latents.pre_bias});
}

}  // namespace sae
