#include "models/autoencoder/refine.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/row_kernels.h"

namespace sae {
namespace {

/// min |y - z D|^2 over z >= 0 for the active rows of D, by their products with each other and with y.
struct LeastSquares {
  size_t active = 0;
  std::vector<double> gram;     // [active, active]
  std::vector<double> against;  // [active]: D y

  /// The largest eigenvalue of the Gram matrix is at most its largest absolute row sum; 1 over it is a step that
  /// descends.
  double step() const {
    double largest = 0;
    for (size_t i = 0; i < active; ++i) {
      double sum = 0;
      for (size_t j = 0; j < active; ++j) sum += std::abs(gram[i * active + j]);
      largest = std::max(largest, sum);
    }
    return largest > 0 ? 1 / largest : 0;
  }

  /// Projected gradient descent with Nesterov's momentum, which is dropped whenever it leads uphill (O'Donoghue and
  /// Candes 2015): the Gram matrices of many active latents are so ill-conditioned that plain descent is still far from
  /// the minimum after thousands of steps.
  void solve(std::vector<double>& z, const RefineOptions& options) const {
    const double rate = step();
    std::vector<double> ahead = z, next(active), slope(active);
    double momentum = 1;
    for (int64_t iteration = 0; iteration < options.iterations; ++iteration) {
      std::transform(against.begin(), against.end(), slope.begin(), std::negate<>());
      for (size_t j = 0; j < active; ++j) {  // the matrix is symmetric: its rows are its columns
        add_scaled(slope.data(), ahead[j], gram.data() + j * active, static_cast<int64_t>(active));
      }
      double moved = 0, largest = 0, uphill = 0;
      for (size_t i = 0; i < active; ++i) {
        next[i] = std::max(0.0, ahead[i] - rate * slope[i]);
        uphill += (ahead[i] - next[i]) * (next[i] - z[i]);
        moved = std::max(moved, std::abs(next[i] - z[i]));
        largest = std::max(largest, next[i]);
      }
      const double following = uphill > 0 ? 1 : (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
      const double factor = uphill > 0 ? 0 : (momentum - 1) / following;
      for (size_t i = 0; i < active; ++i) ahead[i] = next[i] + factor * (next[i] - z[i]);
      momentum = following;
      z.swap(next);
      if (moved <= options.tolerance * largest) return;
    }
  }
};

class RowRefiner {
 public:
  /// decoder: [latents, width]; pre_bias: [width]; on the host.
  RowRefiner(const Tensor& decoder, const Tensor& pre_bias, const RefineOptions& options)
      : decoder_(decoder.data<float>()),
        pre_bias_(pre_bias.data<float>()),
        width_(decoder.cols()),
        options_(options),
        centred_(static_cast<size_t>(width_)) {}

  /// x: [width]; index, values: the row's stored entries.
  void refine(const float* x, const int32_t* index, float* values, int64_t stored) {
    active_.clear();
    for (int64_t e = 0; e < stored; ++e) {
      if (values[e] > 0) active_.push_back(e);
    }
    std::transform(x, x + width_, pre_bias_, centred_.begin(), std::minus<>());
    LeastSquares problem{active_.size(), std::vector<double>(active_.size() * active_.size()),
                         std::vector<double>(active_.size())};
    std::vector<double> z(active_.size());
    for (size_t i = 0; i < active_.size(); ++i) {
      const float* direction = row_of(index[active_[i]]);
      z[i] = static_cast<double>(values[active_[i]]);
      problem.against[i] = static_cast<double>(dot(direction, centred_.data(), width_));
      for (size_t j = 0; j <= i; ++j) {
        const auto product = static_cast<double>(dot(direction, row_of(index[active_[j]]), width_));
        problem.gram[i * active_.size() + j] = problem.gram[j * active_.size() + i] = product;
      }
    }
    problem.solve(z, options_);
    for (size_t i = 0; i < active_.size(); ++i) values[active_[i]] = static_cast<float>(z[i]);
  }

 private:
  const float* row_of(int32_t latent) const { return decoder_ + latent * width_; }

  const float *decoder_, *pre_bias_;
  int64_t width_;
  const RefineOptions& options_;
  std::vector<float> centred_;  // x - b_pre
  std::vector<int64_t> active_;
};

}  // namespace

Value refine(const Autoencoder& autoencoder, const Tensor& x, const Value& latents, const RefineOptions& options) {
  CHECK(x.rows() == rows_of(latents) && x.cols() == autoencoder.options().width &&
            cols_of(latents) == autoencoder.options().latents,
        "refine: rows {} and latents {} do not belong to an autoencoder of width {} with {} latents", x.describe(),
        describe(latents), autoencoder.options().width, autoencoder.options().latents);
  CHECK(
      x.dtype() == Dtype::f32 && dtype_of(latents) == Dtype::f32 && autoencoder.decoder().value().dtype() == Dtype::f32,
      "refine: expected f32, got rows {} and latents {}", x.describe(), describe(latents));
  const auto host = Device::open(DeviceKind::cpu);
  const Tensor rows = x.to(*host), decoder = autoencoder.decoder().value().to(*host),
               pre_bias = autoencoder.pre_bias().value().to(*host);
  const Value latents_here = to_device(latents, *host);
  const SparseRows pattern = sparse_rows("refine", latents_here);
  std::vector<float> values = stored_values(latents).to_vector<float>();
  parallel_for(
      pattern.rows, 16,
      [&](int64_t begin, int64_t end) {
        RowRefiner refiner(decoder, pre_bias, options);
        for (int64_t row = begin; row < end; ++row) {
          const int64_t first = pattern.begin(row);
          refiner.refine(rows.data<float>() + row * rows.cols(), pattern.index + first, values.data() + first,
                         pattern.end(row) - first);
        }
      },
      Deal::to_the_free);
  return with_stored_values(latents, Tensor::from(x.device(), stored_values(latents).shape(), values));
}

}  // namespace sae
