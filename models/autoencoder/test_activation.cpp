#include "models/autoencoder/test_activation.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/error.h"

namespace sae {
namespace {

/// Does b_enc belong to the pre-activations, and do latents that are not above 0 stay out?
bool can_be_replaced(Activation activation) {
  switch (activation) {
    case Activation::relu:
    case Activation::jump_relu:
    case Activation::topk:
    case Activation::multi_topk:
    case Activation::batch_topk:
    case Activation::matryoshka:
      return true;
    case Activation::prolu:
    case Activation::prolu_ste:
    case Activation::gated:
    case Activation::sigmoid:
      return false;
  }
  fail("activation: unknown value {}", static_cast<int>(activation));
}

Autoencoder with_activation(const Autoencoder& autoencoder, AutoencoderOptions options, std::vector<Tensor> extra) {
  const Activation trained = autoencoder.options().activation;
  CHECK(can_be_replaced(trained),
        "the activation of {} uses its biases in its own way, so no other can take its place; expected an autoencoder "
        "of relu, jumprelu, topk, multi-topk, batch-topk or matryoshka",
        name_of(trained));
  options.width = autoencoder.options().width;
  options.latents = autoencoder.options().latents;
  options.normalisation = autoencoder.options().normalisation;
  return Autoencoder(options, autoencoder.encoder().value(), autoencoder.encoder_bias().value(),
                     autoencoder.decoder().value(), autoencoder.pre_bias().value(), std::move(extra));
}

/// The largest of the numbers that it was given.
class Largest {
 public:
  explicit Largest(size_t count) : count_(count) {}

  void add(const std::vector<double>& values) {
    for (const double value : values) {
      if (value > floor_) kept_.push_back(value);
    }
    if (kept_.size() > 2 * count_) shrink();
  }
  /// All of them, or `count` where there were more, descending.
  std::vector<double> sorted() && {
    std::sort(kept_.begin(), kept_.end(), std::greater<>());
    kept_.resize(std::min(kept_.size(), count_));
    return std::move(kept_);
  }

 private:
  void shrink() {
    const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(count_) - 1;
    std::nth_element(kept_.begin(), last, kept_.end(), std::greater<>());
    floor_ = *last;  // whatever is not above it is not among the largest, or equals one that is
    kept_.resize(count_);
  }

  size_t count_;
  double floor_ = 0;
  std::vector<double> kept_;
};

}  // namespace

Autoencoder with_topk(const Autoencoder& autoencoder, int64_t k) {
  return with_activation(autoencoder, {.activation = Activation::topk, .k = k}, {});
}

Autoencoder with_threshold(const Autoencoder& autoencoder, double threshold) {
  CHECK(std::isfinite(threshold) && threshold > 0, "expected a threshold above 0, got {}", threshold);
  const Tensor& like = autoencoder.encoder_bias().value();
  const std::vector<double> all(static_cast<size_t>(like.elements()), std::log(threshold));
  // Outside training nothing depends on the kernel's width; the options want one.
  return with_activation(autoencoder, {.activation = Activation::jump_relu, .bandwidth = threshold},
                         {Tensor::from(like.device(), like.shape(), all).to(like.dtype())});
}

std::vector<std::optional<double>> thresholds_for(const Autoencoder& autoencoder, const Tensor& x,
                                                  std::span<const int64_t> l0) {
  CHECK(x.rows() > 0 && !l0.empty() && *std::min_element(l0.begin(), l0.end()) >= 1,
        "thresholds: expected rows, and numbers of active latents from 1, got {} rows", x.rows());
  constexpr int64_t batch = 1024;
  const Autoencoder relu = with_activation(autoencoder, {.activation = Activation::relu}, {});
  // One more than are to be active: the threshold lies between the last that is and the first that is not.
  Largest largest(static_cast<size_t>(x.rows() * *std::max_element(l0.begin(), l0.end()) + 1));
  for (int64_t begin = 0; begin < x.rows(); begin += batch) {
    const Value positive = encode(relu, x.slice_rows(begin, std::min(x.rows(), begin + batch)));
    largest.add(stored_values(positive).to(Dtype::f64).to_vector<double>());
  }
  const std::vector<double> values = std::move(largest).sorted();
  std::vector<std::optional<double>> thresholds;
  for (const int64_t active : l0) {
    const auto first_out = static_cast<size_t>(x.rows() * active);
    thresholds.push_back(first_out < values.size() ? std::optional((values[first_out - 1] + values[first_out]) / 2)
                                                   : std::nullopt);
  }
  return thresholds;
}

}  // namespace sae
