#include "ops/kl_sparsity/kl_sparsity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "ops/kl_sparsity/kl_sparsity_cuda.h"

namespace sae {
namespace {

std::vector<double> column_means(const Tensor& z) {
  std::vector<double> means = column_sum(z).to(Dtype::f64).to_vector<double>();
  for (size_t col = 0; col < means.size(); ++col) {
    means[col] /= static_cast<double>(z.rows());
    if (!(means[col] > 0 && means[col] < 1)) {
      throw NotFinite(
          fmt::format("kl_sparsity: the mean of column {} is {}, expected above 0 and below 1; lower the "
                      "learning rate",
                      col, means[col]));
    }
  }
  return means;
}

template <class T>
void backward_on_cpu(const double* slopes, double factor, T* out, const Shape& shape) {
  const int64_t cols = shape.cols();
  std::vector<T> row(static_cast<size_t>(cols));
  std::transform(slopes, slopes + cols, row.begin(), [&](double slope) { return static_cast<T>(factor * slope); });
  parallel_for(shape.rows(), grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::copy(row.begin(), row.end(), out + i * cols);
  });
}

struct KlSparsityNode final : Node {
  Shape shape;
  Tensor slopes;  // f64 [cols]: the derivative for each element of a column

  std::string_view name() const override { return "kl_sparsity"; }
  int64_t bytes_saved() const override { return slopes.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("kl_sparsity", gradient);
    require_same_device("kl_sparsity backward", {&slopes, &g});
    Device& device = g.device();
    Writable out = Tensor::empty(device, shape, g.dtype());
    visit_real("kl_sparsity", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      switch (device.kind()) {
        case DeviceKind::cpu:
          return backward_on_cpu(slopes.data<double>(), static_cast<double>(g.data<T>()[0]), out.data<T>(), shape);
        case DeviceKind::simt:
        case DeviceKind::cuda:
          return SIMT_CALL(device.kind(), kl_sparsity_backward, device.stream(), slopes.data<double>(), g.data<T>(),
                           out.data<T>(), shape.rows(), shape.cols());
      }
    });
    to.add(0, Value(std::move(out).freeze()));
  }
};

}  // namespace

Variable kl_sparsity(const Variable& z, double target) {
  const Tensor& values = require_dense("kl_sparsity", z.value);
  CHECK(target > 0 && target < 1, "kl_sparsity: target {}, expected above 0 and below 1", target);
  const auto rows = static_cast<double>(values.rows());
  double sum = 0;
  std::vector<double> slopes;
  if (values.rows() > 0) {
    for (const double mean : column_means(values)) {
      sum += target * std::log(target / mean) + (1 - target) * std::log((1 - target) / (1 - mean));
      slopes.push_back((-target / mean + (1 - target) / (1 - mean)) / rows);
    }
  } else {
    slopes.assign(static_cast<size_t>(values.cols()), 0.0);
  }
  Tensor loss = Tensor::scalar(values.device(), sum).to(values.dtype());
  if (z.tape == nullptr) return loss;
  auto node = std::make_unique<KlSparsityNode>();
  node->shape = values.shape();
  node->slopes = Tensor::from(values.device(), {values.cols()}, slopes);
  return z.tape->record(std::move(loss), std::move(node), {&z});
}

}  // namespace sae
