#include "models/autoencoder/export.h"

#include <cmath>
#include <filesystem>
#include <vector>

#include "engine/error.h"
#include "engine/files/json.h"
#include "ops/exponential/exponential.h"

namespace sae {
namespace {

/// factor * tensor, in double.
Tensor scaled(const Tensor& tensor, double factor) {
  Writable out = Tensor::empty(tensor.device(), tensor.shape(), Dtype::f32);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    out.data<float>()[i] = static_cast<float>(factor * static_cast<double>(tensor.data<float>()[i]));
  }
  return std::move(out).freeze();
}

Tensor transposed(const Tensor& tensor) {
  Writable out = Tensor::empty(tensor.device(), {tensor.cols(), tensor.rows()}, Dtype::f32);
  const float* from = tensor.data<float>();
  float* to = out.data<float>();
  for (int64_t row = 0; row < tensor.rows(); ++row) {
    for (int64_t column = 0; column < tensor.cols(); ++column) to[column * tensor.rows() + row] = *from++;
  }
  return std::move(out).freeze();
}

struct Weights32 {
  Tensor encoder, encoder_bias, decoder, pre_bias;
};

Weights32 weights_of(const Autoencoder& autoencoder) {
  return {autoencoder.encoder().value().to(Dtype::f32), autoencoder.encoder_bias().value().to(Dtype::f32),
          autoencoder.decoder().value().to(Dtype::f32), autoencoder.pre_bias().value().to(Dtype::f32)};
}

std::string note(const Metadata& notes, std::string_view key) {
  for (const auto& [name, text] : notes) {
    if (name == key) return text;
  }
  return "";
}

/// The hook's name in TransformerLens, by which SAELens finds the place: "blocks.22.hook_resid_post"; a feed-forward's
/// neurons go by "blocks.22.mlp.hook_post" there.
std::string hook_name(const Metadata& notes) {
  const std::string layer = note(notes, "layer"), site = note(notes, "site");
  if (layer.empty() || site.empty()) return "";
  return "blocks." + layer + (site == "mlp_hidden" ? ".mlp.hook_post" : ".hook_" + site);
}

struct Export {
  std::string weights_name;
  std::vector<NamedTensor> tensors;
  Json config = Json::object();
};

/// Adds the tensors of the activation; returns SAELens' name of the architecture.
std::string add_saelens_activation(std::vector<NamedTensor>& tensors, const Autoencoder& autoencoder,
                                   const Tensor& encoder_bias) {
  const auto extra = [&](std::string_view name) { return autoencoder.extra(name).value().to(Dtype::f32); };
  const Activation activation = autoencoder.options().activation;
  if (activation == Activation::gated) {
    tensors.push_back({"b_gate", encoder_bias});
    tensors.push_back({"b_mag", extra("magnitude_bias")});
    tensors.push_back({"r_mag", extra("magnitude_log_scale")});
    return "gated";
  }
  tensors.push_back({"b_enc", encoder_bias});
  switch (activation) {
    case Activation::relu:
      return "standard";
    case Activation::topk:
    case Activation::multi_topk:
      return "topk";
    case Activation::jump_relu:
      tensors.push_back({"threshold", require_dense("export", exponential(extra("log_threshold")).value)});
      return "jumprelu";
    case Activation::batch_topk:
    case Activation::matryoshka: {
      const std::vector<float> everywhere(static_cast<size_t>(encoder_bias.elements()),
                                          extra("threshold").data<float>()[0]);
      CHECK(everywhere[0] > 0, "the threshold of this autoencoder was never measured, so it has no latents to export");
      tensors.push_back({"threshold", Tensor::from(encoder_bias.device(), encoder_bias.shape(), everywhere)});
      return "jumprelu";
    }
    case Activation::gated:
    case Activation::prolu:
    case Activation::prolu_ste:
    case Activation::sigmoid:
      break;
  }
  fail("the saelens format has no architecture for {}", name_of(activation));
}

Export to_saelens(const LoadedAutoencoder& loaded) {
  const AutoencoderOptions& options = loaded.autoencoder.options();
  CHECK(options.width >= 2, "a width of {} has no layer norm, which the saelens format needs", options.width);
  // SAELens divides by the standard deviation with width - 1 in its denominator, so that its rows have this length.
  const double length = std::sqrt(static_cast<double>(options.width - 1));
  const Weights32 weights = weights_of(loaded.autoencoder);
  Export result;
  result.weights_name = "sae_weights.safetensors";
  result.tensors = {{"W_enc", scaled(transposed(weights.encoder), 1 / length)},
                    {"W_dec", scaled(weights.decoder, length)},
                    {"b_dec", scaled(weights.pre_bias, length)}};
  result.config.set("architecture", add_saelens_activation(result.tensors, loaded.autoencoder, weights.encoder_bias))
      .set("d_in", options.width)
      .set("d_sae", options.latents)
      .set("dtype", "float32")
      .set("device", "cpu")
      .set("apply_b_dec_to_input", true)
      .set("normalize_activations", "layer_norm")
      .set("reshape_activations", "none");
  if (facts_of(options.activation).chooses_k && !facts_of(options.activation).whole_batch) {
    result.config.set("k", options.k).set("rescale_acts_by_decoder_norm", false);
  }
  Json metadata = Json::object();
  metadata
      .set("sae_lens_version", "6.18.0")  // the version whose format this is
      .set("made_by", "sae.cpp")
      .set("model_name", note(loaded.notes, "model"))
      .set("hook_name", hook_name(loaded.notes))
      .set("prepend_bos", note(loaded.notes, "beginning") == "on");
  const std::string context = note(loaded.notes, "context_length");
  if (!context.empty()) metadata.set("context_size", Json::parse(context, "context_length").integer());
  result.config.set("metadata", metadata);
  return result;
}

Export to_sparsify(const LoadedAutoencoder& loaded) {
  const AutoencoderOptions& options = loaded.autoencoder.options();
  CHECK(options.activation == Activation::topk || options.activation == Activation::multi_topk,
        "the sparsify format has top-k autoencoders only, this one is {}; choose saelens", name_of(options.activation));
  const Weights32 weights = weights_of(loaded.autoencoder);
  Export result;
  result.weights_name = "sae.safetensors";
  result.tensors = {{"encoder.weight", weights.encoder},
                    {"encoder.bias", weights.encoder_bias},
                    {"W_dec", weights.decoder},
                    {"b_dec", weights.pre_bias}};
  result.config.set("d_in", options.width)
      .set("num_latents", options.latents)
      .set("k", options.k)
      .set("activation", "topk")
      .set("normalize_decoder", true)
      .set("multi_topk", options.activation == Activation::multi_topk)
      .set("skip_connection", false)
      .set("transcode", false)
      .set("made_by", "sae.cpp")
      .set("inputs", "rows with their mean over the width removed, then scaled to unit norm")
      .set("model_name", note(loaded.notes, "model"))
      .set("hook_name", hook_name(loaded.notes));
  return result;
}

}  // namespace

std::string_view name_of(ExportFormat format) { return format == ExportFormat::saelens ? "saelens" : "sparsify"; }

ExportFormat parse_export_format(std::string_view text) {
  for (const ExportFormat format : {ExportFormat::saelens, ExportFormat::sparsify}) {
    if (text == name_of(format)) return format;
  }
  fail("expected the format saelens or sparsify, got '{}'", text);
}

void export_autoencoder(const std::string& folder, const LoadedAutoencoder& loaded, ExportFormat format,
                        IfExists if_exists) {
  const Export result = format == ExportFormat::saelens ? to_saelens(loaded) : to_sparsify(loaded);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  CHECK(std::filesystem::is_directory(folder), "{}: cannot be created as a folder: {}", folder, error.message());
  const std::string weights_path = folder + "/" + result.weights_name, config_path = folder + "/cfg.json";
  for (const std::string& path : {weights_path, config_path}) {
    CHECK(if_exists == IfExists::replace || !std::filesystem::exists(path),
          "{}: exists already; overwrite it, or choose another folder", path);
  }
  // No metadata in the weights' file: SAELens reads cfg.json alone, and the tensors must be exactly these.
  write_safetensors(weights_path, result.tensors, {}, if_exists);
  result.config.write(config_path, if_exists);
}

}  // namespace sae
