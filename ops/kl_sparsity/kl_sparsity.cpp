#include "ops/kl_sparsity/kl_sparsity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "engine/parallel.h"

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

struct KlSparsityNode final : Node {
  Shape shape;
  std::vector<double> slopes;  // [cols]: the derivative for each element of a column

  std::string_view name() const override { return "kl_sparsity"; }
  int64_t bytes_saved() const override { return static_cast<int64_t>(slopes.size() * sizeof(double)); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("kl_sparsity", gradient);
    const double factor = g.to(Dtype::f64).data<double>()[0];
    Writable out = Tensor::empty(g.device(), shape, g.dtype());
    visit_real("kl_sparsity", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      std::vector<T> row(slopes.size());
      std::transform(slopes.begin(), slopes.end(), row.begin(), [&](double s) { return static_cast<T>(factor * s); });
      T* to_rows = out.data<T>();
      parallel_for(shape.rows(), grain_for(shape.cols()), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) std::copy(row.begin(), row.end(), to_rows + i * shape.cols());
      });
    });
    to.add(0, Value(std::move(out).freeze()));
  }
};

}  // namespace

Variable kl_sparsity(const Variable& z, double target) {
  const Tensor& values = require_dense("kl_sparsity", z.value);
  CHECK(target > 0 && target < 1, "kl_sparsity: target {}, expected above 0 and below 1", target);
  if (values.device().kind() != DeviceKind::cpu) refuse_device("kl_sparsity", values.device().kind());
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
  node->slopes = std::move(slopes);
  return z.tape->record(std::move(loss), std::move(node), {&z});
}

}  // namespace sae
