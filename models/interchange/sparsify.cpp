// EleutherAI's sparsify: SparseCoder.load_from_disk.
#include <algorithm>
#include <limits>

#include "engine/error.h"
#include "models/interchange/foreign_formats.h"

namespace sae {
namespace {

constexpr const char* weights_name = "sae.safetensors";
constexpr const char* config_name = "cfg.json";

int64_t latents_of(const Json& config, int64_t width) {
  const int64_t latents = integer_or(config, "num_latents", 0);
  if (latents != 0) return latents;
  const int64_t expansion = integer_or(config, "expansion_factor", 32);
  CHECK(expansion > 0 && width <= std::numeric_limits<int64_t>::max() / expansion, "expansion_factor is {}", expansion);
  return width * expansion;
}

}  // namespace

AutoencoderParts read_sparsify(const std::string& folder) {
  const Json config = Json::read(folder + "/" + config_name);
  CHECK(!boolean_or(config, "transcode", false), "it is a transcoder (it predicts other activations than it reads)");
  CHECK(!boolean_or(config, "skip_connection", false), "skip connections are not supported");
  const std::string activation = text_or(config, "activation", "topk");
  CHECK(activation == "topk", "the activation '{}' is not supported; topk is", activation);
  AutoencoderParts parts;
  AutoencoderOptions& options = parts.options;
  options.width = config.at("d_in").integer();
  CHECK(options.width > 0, "d_in is {}, expected at least 1", options.width);
  options.latents = latents_of(config, options.width);
  options.k = integer_or(config, "k", 32);  // what sparsify takes where it is missing
  options.activation = boolean_or(config, "multi_topk", false) ? Activation::multi_topk : Activation::topk;
  ForeignTensors tensors = ForeignTensors::of_safetensors(folder + "/" + weights_name, parts);
  const Shape matrix = {options.latents, options.width};
  parts.encoder = tensors.take("encoder.weight", matrix);
  parts.encoder_bias = tensors.take("encoder.bias", {options.latents});
  parts.decoder = tensors.take("W_dec", matrix);
  parts.pre_bias = tensors.take("b_dec", {options.width});
  tensors.require_all_taken("sparsify's autoencoder");
  parts.notes.emplace_back("converted_from", "sparsify");
  read_own_normalisation(config, parts);
  read_own_facts(config, parts);
  return parts;
}

void write_sparsify(const std::string& folder, AutoencoderParts parts, IfExists if_exists) {
  const AutoencoderOptions& options = parts.options;
  CHECK(options.activation == Activation::topk || options.activation == Activation::multi_topk,
        "the sparsify format has top-k autoencoders only, this one is {}; choose saelens", name_of(options.activation));
  Json config = Json::object();
  config.set("d_in", options.width)
      .set("num_latents", options.latents)
      .set("k", options.k)
      .set("activation", "topk")
      .set("normalize_decoder", true)
      .set("multi_topk", options.activation == Activation::multi_topk)
      .set("skip_connection", false)
      .set("transcode", false)
      .set("made_by", "sae.cpp")
      .set(own_facts_key, own_facts(parts));
  prepare_folder(folder, {weights_name, config_name}, if_exists);
  write_safetensors(folder + "/" + weights_name,
                    {{"encoder.weight", parts.encoder},
                     {"encoder.bias", parts.encoder_bias},
                     {"W_dec", parts.decoder},
                     {"b_dec", parts.pre_bias}},
                    {}, if_exists);
  config.write(folder + "/" + config_name, if_exists);
}

}  // namespace sae
