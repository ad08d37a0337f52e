#include "models/autoencoder/autoencoder.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/row_kernels.h"
#include "ops/relu/relu.h"
#include "ops/topk/topk.h"
#include "ops/unit_norm/unit_norm.h"

namespace sae {

void check(const AutoencoderOptions& options) {
  CHECK(options.width >= 1, "autoencoder: width is {}, expected at least 1", options.width);
  CHECK(options.latents >= 1, "autoencoder: latents is {}, expected at least 1", options.latents);
  CHECK(!facts_of(options.activation).chooses_k || (1 <= options.k && options.k <= options.latents),
        "autoencoder: expected 1 <= k <= latents = {}, got k = {}", options.latents, options.k);
  for (const auto& [name, weight] :
       {std::pair{"penalty", options.penalty}, std::pair{"weight decay", options.weight_decay}}) {
    CHECK(std::isfinite(weight) && weight >= 0, "autoencoder: the {} is {}, expected 0 or more", name, weight);
  }
  CHECK(options.activation != Activation::jump_relu || (std::isfinite(options.bandwidth) && options.bandwidth > 0),
        "autoencoder: the bandwidth of jumprelu is {}, expected above 0", options.bandwidth);
  CHECK(options.activation != Activation::sigmoid || (options.target_rate > 0 && options.target_rate < 1),
        "autoencoder: the target rate of sigmoid is {}, expected between 0 and 1", options.target_rate);
  CHECK(0 <= options.k_aux && options.k_aux <= options.latents,
        "autoencoder: expected 0 <= k_aux <= latents = {}, got {}", options.latents, options.k_aux);
  CHECK(std::isfinite(options.aux_weight) && options.aux_weight >= 0,
        "autoencoder: the weight of the auxiliary loss is {}, expected 0 or more", options.aux_weight);
}

int64_t default_k_aux(int64_t width, int64_t latents) {
  const double exponent = std::round(std::log2(std::max(1.0, static_cast<double>(width) / 2)));
  return std::min(latents, static_cast<int64_t>(std::exp2(exponent)));
}

std::vector<int64_t> nested_sizes(int64_t latents) {
  std::vector<int64_t> sizes;
  for (const int64_t part : {16, 8, 4, 2, 1}) {
    const int64_t size = latents / part;
    if (size > 0 && (sizes.empty() || sizes.back() < size)) sizes.push_back(size);
  }
  return sizes;
}

std::vector<ExtraParameter> extra_parameters(const AutoencoderOptions& options) {
  if (facts_of(options.activation).whole_batch) return {{"threshold", 1, 0}};
  if (options.activation == Activation::gated) {
    return {{"magnitude_log_scale", options.latents, 0}, {"magnitude_bias", options.latents, 0}};
  }
  // Thresholds start at the kernel's width, so that the kernel lies above 0 ("Jumping Ahead" starts there too).
  if (options.activation == Activation::jump_relu) {
    return {{"log_threshold", options.latents, std::log(options.bandwidth)}};
  }
  return {};
}

namespace {

Tensor constant_tensor(Device& device, Shape shape, Dtype dtype, double value) {
  return Tensor::from(device, shape, std::vector<double>(static_cast<size_t>(shape.elements()), value)).to(dtype);
}

template <class Parameters>
auto& find_extra(Parameters& parameters, std::string_view name) {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [&](const auto& one) { return one.name() == name; });
  CHECK(found != parameters.end(), "autoencoder: this activation has no parameter '{}'", name);
  return *found;
}

}  // namespace

Autoencoder::Autoencoder(AutoencoderOptions options, Tensor encoder, Tensor encoder_bias, Tensor decoder,
                         Tensor pre_bias, std::vector<Tensor> extra)
    : options_(options),
      encoder_("encoder", std::move(encoder)),
      encoder_bias_("encoder_bias", std::move(encoder_bias)),
      decoder_("decoder", std::move(decoder)),
      pre_bias_("pre_bias", std::move(pre_bias)) {
  check(options_);
  const auto expect = [&](const Parameter& parameter, Shape shape) {
    CHECK(parameter.value().shape() == shape && parameter.value().dtype() == encoder_.value().dtype(),
          "autoencoder: '{}' is {}, expected {} {}", parameter.name(), parameter.value().describe(),
          name_of(encoder_.value().dtype()), shape.to_string());
  };
  expect(encoder_, {options_.latents, options_.width});
  expect(encoder_bias_, {options_.latents});
  expect(decoder_, {options_.latents, options_.width});
  expect(pre_bias_, {options_.width});
  const std::vector<ExtraParameter> expected = extra_parameters(options_);
  CHECK(extra.empty() || extra.size() == expected.size(), "autoencoder: {} has {} parameters of its own, got {}",
        name_of(options_.activation), expected.size(), extra.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const Tensor& like = encoder_.value();
    extra_.emplace_back(std::string(expected[i].name),
                        extra.empty()
                            ? constant_tensor(like.device(), {expected[i].elements}, like.dtype(), expected[i].start)
                            : std::move(extra[i]));
    expect(extra_.back(), {expected[i].elements});
  }
}

Parameter& Autoencoder::extra(std::string_view name) { return find_extra(extra_, name); }
const Parameter& Autoencoder::extra(std::string_view name) const { return find_extra(extra_, name); }

std::vector<Parameter*> Autoencoder::parameters() {
  std::vector<Parameter*> all = {&encoder_, &encoder_bias_, &decoder_, &pre_bias_};
  for (Parameter& parameter : extra_) all.push_back(&parameter);
  return all;
}

std::vector<const Parameter*> Autoencoder::parameters() const {
  std::vector<const Parameter*> all = {&encoder_, &encoder_bias_, &decoder_, &pre_bias_};
  for (const Parameter& parameter : extra_) all.push_back(&parameter);
  return all;
}

namespace {

/// Streams of the seed, so that no two uses share a draw.
enum : uint64_t { decoder_stream = 1, probe_stream = 2, encoder_stream = 3 };

Parameter unit_rows(Device& device, int64_t rows, int64_t width, Dtype dtype, uint64_t seed, uint64_t stream) {
  Parameter directions("directions", normal_tensor(device, {rows, width}, dtype, Philox(seed, stream)));
  normalise_rows(directions);
  return directions;
}

template <class T>
double mean_row_norm(const Tensor& x) {
  double sum = 0;
  for (int64_t row = 0; row < x.rows(); ++row) {
    const T* values = x.data<T>() + row * x.cols();
    sum += std::sqrt(static_cast<double>(dot(values, values, x.cols())));
  }
  return sum / static_cast<double>(x.rows());
}

Tensor scaled(const Tensor& x, double factor) {
  Writable out = Tensor::empty(x.device(), x.shape(), x.dtype());
  visit_real("initialise", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::transform(x.data<T>(), x.data<T>() + x.elements(), out.data<T>(),
                   [&](T value) { return static_cast<T>(value * static_cast<T>(factor)); });
  });
  return std::move(out).freeze();
}

/// The mean length at which k latents of a tied dictionary rebuild random unit vectors (Gao et al., appendix A: the
/// authors probe with 256).
double reconstructed_length(const Tensor& dictionary, int64_t k, uint64_t seed) {
  constexpr int64_t probes = 256;
  const Parameter vectors =
      unit_rows(dictionary.device(), probes, dictionary.cols(), dictionary.dtype(), seed, probe_stream);
  const Variable latents = relu(topk(matmul(vectors.value(), dictionary, {.transpose_b = true}), k));
  const Tensor rebuilt = require_dense("initialise", matmul(latents, dictionary).value);
  return visit_real("initialise", rebuilt.dtype(), [&](auto zero) { return mean_row_norm<decltype(zero)>(rebuilt); });
}

}  // namespace

Autoencoder Autoencoder::initialise(AutoencoderOptions options, const Tensor& pre_bias, uint64_t seed,
                                    const EncoderStart& start) {
  check(options);
  CHECK(!start.length || (*start.length > 0 && std::isfinite(*start.length)),
        "autoencoder: encoder rows of length {} at the start; expected one above 0", *start.length);
  // On the host, so that a seed starts from the same bits on every device.
  Device& device = pre_bias.device();
  const auto host = Device::open(DeviceKind::cpu);
  const Dtype dtype = pre_bias.dtype();
  Tensor decoder = unit_rows(*host, options.latents, options.width, dtype, seed, decoder_stream).value();
  const Tensor directions =
      start.tied ? decoder : unit_rows(*host, options.latents, options.width, dtype, seed, encoder_stream).value();
  double length = 1.0 / std::sqrt(3.0);
  if (facts_of(options.activation).chooses_k) length = 1.0 / reconstructed_length(decoder, options.k, seed);
  if (options.activation == Activation::sigmoid) {
    length =
        std::sqrt(2.0 * static_cast<double>(options.width) / static_cast<double>(options.latents + options.width + 1));
    decoder = scaled(decoder, length);
  }
  const Tensor encoder = scaled(directions, start.length.value_or(length));
  return Autoencoder(options, encoder.to(device), Tensor::zeros(device, {options.latents}, dtype), decoder.to(device),
                     pre_bias.with_shape({options.width}));
}

Weights Weights::watched(Tape& tape, Autoencoder& autoencoder) {
  Weights weights{tape.watch(autoencoder.encoder()), tape.watch(autoencoder.encoder_bias()),
                  tape.watch(autoencoder.decoder()), tape.watch(autoencoder.pre_bias())};
  for (const ExtraParameter& one : extra_parameters(autoencoder.options())) {
    weights.extra.emplace_back(one.name, tape.watch(autoencoder.extra(one.name)));
  }
  return weights;
}

Weights Weights::constant(const Autoencoder& autoencoder) {
  Weights weights{autoencoder.encoder().value(), autoencoder.encoder_bias().value(), autoencoder.decoder().value(),
                  autoencoder.pre_bias().value()};
  for (const ExtraParameter& one : extra_parameters(autoencoder.options())) {
    weights.extra.emplace_back(one.name, autoencoder.extra(one.name).value());
  }
  return weights;
}

const Variable& Weights::named(std::string_view name) const {
  const auto found = std::find_if(extra.begin(), extra.end(), [&](const auto& one) { return one.first == name; });
  CHECK(found != extra.end(), "autoencoder: this activation has no parameter '{}'", name);
  return found->second;
}

}  // namespace sae
