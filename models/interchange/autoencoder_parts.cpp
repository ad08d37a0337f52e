#include "models/interchange/autoencoder_parts.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace sae {
namespace {

enum GatedExtra : size_t { magnitude_log_scale = 0, magnitude_bias = 1 };

/// x with element i as change(element, i).
template <class Change>
Tensor changed(const Tensor& x, Change change) {
  Writable out = Tensor::empty(x.device(), x.shape(), Dtype::f32);
  for (int64_t i = 0; i < x.elements(); ++i) {
    out.data<float>()[i] = static_cast<float>(change(static_cast<double>(x.data<float>()[i]), i));
  }
  return std::move(out).freeze();
}

Tensor rows_scaled(const Tensor& x, const std::vector<double>& factors) {
  const int64_t width = x.elements() / static_cast<int64_t>(factors.size());
  return changed(x, [&](double value, int64_t i) { return value * factors[static_cast<size_t>(i / width)]; });
}

void check_finite(std::string_view name, const Tensor& x) {
  for (int64_t i = 0; i < x.elements(); ++i) {
    CHECK(std::isfinite(x.data<float>()[i]), "'{}' holds NaN or infinity at element {}", name, i);
  }
}

}  // namespace

AutoencoderParts take_apart(const LoadedAutoencoder& loaded) {
  AutoencoderParts parts;
  const Autoencoder& autoencoder = loaded.autoencoder;
  const auto here = [&](const Parameter& parameter) {
    return parameter.value().to(*parts.host).to(Dtype::f32).clone();
  };
  parts.options = autoencoder.options();
  parts.encoder = here(autoencoder.encoder());
  parts.encoder_bias = here(autoencoder.encoder_bias());
  parts.decoder = here(autoencoder.decoder());
  parts.pre_bias = here(autoencoder.pre_bias());
  for (const ExtraParameter& one : extra_parameters(parts.options)) {
    parts.extra.push_back(here(autoencoder.extra(one.name)));
  }
  parts.notes = loaded.notes;
  return parts;
}

LoadedAutoencoder put_together(const AutoencoderParts& parts, Device& device) {
  check_finite("encoder", parts.encoder);
  check_finite("encoder_bias", parts.encoder_bias);
  check_finite("decoder", parts.decoder);
  check_finite("pre_bias", parts.pre_bias);
  std::vector<Tensor> extra;
  for (const Tensor& one : parts.extra) {
    check_finite("the activation's parameter", one);
    extra.push_back(one.to(device));
  }
  return {Autoencoder(parts.options, parts.encoder.to(device), parts.encoder_bias.to(device), parts.decoder.to(device),
                      parts.pre_bias.to(device), std::move(extra)),
          parts.notes};
}

std::string note_of(const Metadata& notes, std::string_view key) {
  for (const auto& [name, text] : notes) {
    if (name == key) return text;
  }
  return "";
}

Tensor scaled(const Tensor& x, double factor) {
  return changed(x, [&](double value, int64_t) { return value * factor; });
}

Tensor transposed(const Tensor& x) {
  Writable out = Tensor::empty(x.device(), {x.cols(), x.rows()}, Dtype::f32);
  const float* from = x.data<float>();
  float* to = out.data<float>();
  for (int64_t row = 0; row < x.rows(); ++row) {
    for (int64_t column = 0; column < x.cols(); ++column) to[column * x.rows() + row] = *from++;
  }
  return std::move(out).freeze();
}

void scale_inputs(AutoencoderParts& parts, double factor) {
  parts.encoder = scaled(parts.encoder, factor);
  parts.decoder = scaled(parts.decoder, 1 / factor);
  parts.pre_bias = scaled(parts.pre_bias, 1 / factor);
}

void scale_latents(AutoencoderParts& parts, const std::vector<double>& factors) {
  std::vector<double> inverse;
  for (const double factor : factors) inverse.push_back(factor > 0 ? 1 / factor : 0);
  parts.encoder = rows_scaled(parts.encoder, factors);
  parts.encoder_bias = rows_scaled(parts.encoder_bias, factors);
  parts.decoder = rows_scaled(parts.decoder, inverse);
  const Activation activation = parts.options.activation;
  if (activation == Activation::gated) parts.extra[magnitude_bias] = rows_scaled(parts.extra[magnitude_bias], factors);
  if (activation == Activation::jump_relu) {
    parts.extra[0] = changed(
        parts.extra[0], [&](double value, int64_t i) { return value + std::log(factors[static_cast<size_t>(i)]); });
  }
  if (facts_of(activation).whole_batch) parts.extra[0] = scaled(parts.extra[0], factors[0]);
}

void move_pre_bias(AutoencoderParts& parts, double sign) {
  const Activation activation = parts.options.activation;
  CHECK(activation != Activation::prolu && activation != Activation::prolu_ste,
        "the format does not subtract b_pre from its input, and the bias of {} cannot stand in for that",
        name_of(activation));
  const int64_t width = parts.options.width;
  std::vector<double> moved;
  for (int64_t latent = 0; latent < parts.options.latents; ++latent) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) {
      sum += static_cast<double>(parts.encoder.data<float>()[latent * width + i]) *
             static_cast<double>(parts.pre_bias.data<float>()[i]);
    }
    moved.push_back(sign * sum);
  }
  parts.encoder_bias =
      changed(parts.encoder_bias, [&](double value, int64_t i) { return value + moved[static_cast<size_t>(i)]; });
  if (activation != Activation::gated) return;
  const float* log_scale = parts.extra[magnitude_log_scale].data<float>();
  parts.extra[magnitude_bias] = changed(parts.extra[magnitude_bias], [&](double value, int64_t i) {
    return value + std::exp(static_cast<double>(log_scale[i])) * moved[static_cast<size_t>(i)];
  });
}

std::vector<double> decoder_norms(const AutoencoderParts& parts) {
  std::vector<double> norms;
  const float* value = parts.decoder.data<float>();
  for (int64_t row = 0; row < parts.decoder.rows(); ++row) {
    double squares = 0;
    for (int64_t i = 0; i < parts.decoder.cols(); ++i, ++value) {
      squares += static_cast<double>(*value) * static_cast<double>(*value);
    }
    norms.push_back(std::sqrt(squares));
  }
  return norms;
}

void make_decoder_unit(AutoencoderParts& parts) {
  std::vector<double> norms = decoder_norms(parts);
  for (size_t i = 0; i < norms.size(); ++i) CHECK(norms[i] > 0, "the decoder's row of latent {} is zero", i);
  if (facts_of(parts.options.activation).chooses_k) {
    const auto [least, most] = std::minmax_element(norms.begin(), norms.end());
    CHECK(
        *most <= *least * 1.001,
        "the decoder's rows have lengths from {} to {}; those of a {} autoencoder must be equal, because scaling them "
        "would change which latents are active",
        *least, *most, name_of(parts.options.activation));
    double mean = 0;
    for (const double norm : norms) mean += norm / static_cast<double>(norms.size());
    std::fill(norms.begin(), norms.end(), mean);
  }
  scale_latents(parts, norms);
}

}  // namespace sae
