// OpenAI's sparse_autoencoder: Autoencoder.from_state_dict.
#include <memory>

#include "engine/error.h"
#include "engine/files/torch_file.h"
#include "models/interchange/foreign_formats.h"

namespace sae {
AutoencoderParts read_openai(const std::string& path) {
  const auto file = std::make_shared<TorchFile>(path);
  AutoencoderParts parts;
  ForeignTensors tensors = ForeignTensors::of_torch_file(file, parts);
  AutoencoderOptions& options = parts.options;
  const Shape matrix = tensors.shape_of("encoder.weight");
  options.latents = matrix[0];
  options.width = matrix[1];
  options.normalisation = InputNormalisation::none;
  parts.encoder = tensors.take("encoder.weight", matrix);
  parts.decoder = transposed(tensors.take("decoder.weight", {options.width, options.latents}));
  parts.encoder_bias = tensors.take("latent_bias", {options.latents});
  parts.pre_bias = tensors.take("pre_bias", {options.width});
  // What their training counted.
  for (const char* name : {"stats_last_nonzero", "latents_activation_frequency", "latents_mean_square"}) {
    tensors.ignore(name);
  }
  tensors.require_all_taken("OpenAI's autoencoder");
  const std::string activation = file->has_text("activation") ? file->text("activation") : "ReLU";
  if (activation == "TopK") {
    const std::string& after = file->text("activation_state_dict.postact_fn");
    CHECK(after == "ReLU", "its TopK is followed by {}, not by ReLU", after);
    options.activation = Activation::topk;
    options.k = file->integer("activation_state_dict.k");
    options.normalisation = InputNormalisation::centred_unit_norm;
    scale_inputs(parts, layer_norm_length(options.width));
  } else {
    CHECK(activation == "ReLU", "the activation '{}' is not supported; TopK and ReLU are", activation);
    options.activation = Activation::relu;
  }
  parts.notes.emplace_back("converted_from", "openai");
  return parts;
}

void write_openai(const std::string& path, AutoencoderParts parts, IfExists if_exists) {
  const AutoencoderOptions& options = parts.options;
  const bool topk = options.activation == Activation::topk || options.activation == Activation::multi_topk;
  const InputNormalisation needed = topk ? InputNormalisation::centred_unit_norm : InputNormalisation::none;
  CHECK(topk || options.activation == Activation::relu, "the openai format has topk and relu, this autoencoder is {}",
        name_of(options.activation));
  CHECK(options.normalisation == needed,
        "the openai format has {} with the input normalisation '{}' only, this autoencoder's is '{}'; choose saelens",
        topk ? "topk" : "relu", name_of(needed), name_of(options.normalisation));
  if (topk) scale_inputs(parts, 1 / layer_norm_length(options.width));
  Device& host = parts.encoder.device();
  const Shape per_latent = {options.latents};
  const std::vector<float> ones(static_cast<size_t>(options.latents), 1.0f);
  const std::vector<NamedTensor> tensors = {{"pre_bias", parts.pre_bias},
                                            {"latent_bias", parts.encoder_bias},
                                            {"encoder.weight", parts.encoder},
                                            {"decoder.weight", transposed(parts.decoder)},
                                            // as fresh ones: their reader insists on them
                                            {"stats_last_nonzero", Tensor::zeros(host, per_latent, Dtype::i64)},
                                            {"latents_activation_frequency", Tensor::from(host, per_latent, ones)},
                                            {"latents_mean_square", Tensor::zeros(host, per_latent, Dtype::f32)}};
  TorchExtras extras;
  extras.text_key = "activation";
  extras.text = topk ? "TopK" : "ReLU";
  if (topk) {
    extras.dict_key = "activation_state_dict";
    extras.dict_number = {"k", options.k};
    extras.dict_text = {"postact_fn", "ReLU"};
  }
  write_torch_file(path, tensors, extras, if_exists);
}

}  // namespace sae
