// dictionary_learning: load_dictionary.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "engine/error.h"
#include "engine/files/torch_file.h"
#include "models/interchange/foreign_formats.h"

namespace sae {
namespace {

constexpr const char* weights_name = "ae.pt";
constexpr const char* config_name = "config.json";

/// A class of dictionary_learning: which activation it has, and how it calls and stores the common tensors.
struct DictionaryClass {
  std::string_view name;
  Activation activation;
  bool linear_layers;  ///< encoder.weight [latents, width], decoder.weight [width, latents]; else W_enc, W_dec
  std::string_view encoder_bias;  ///< of gated: of its gates
  std::string_view pre_bias;
  bool subtracts_pre_bias;  ///< from the encoder's input
};
constexpr DictionaryClass classes[] = {
    {"AutoEncoder", Activation::relu, true, "encoder.bias", "bias", true},
    {"AutoEncoderNew", Activation::relu, true, "encoder.bias", "decoder.bias", false},
    {"AutoEncoderTopK", Activation::topk, true, "encoder.bias", "b_dec", true},
    {"BatchTopKSAE", Activation::batch_topk, true, "encoder.bias", "b_dec", true},
    {"MatryoshkaBatchTopKSAE", Activation::matryoshka, false, "b_enc", "b_dec", true},
    {"JumpReluAutoEncoder", Activation::jump_relu, false, "b_enc", "b_dec", false},
    {"GatedAutoEncoder", Activation::gated, true, "gate_bias", "decoder_bias", true},
};

const DictionaryClass& class_named(std::string_view name) {
  std::string names;
  for (const DictionaryClass& one : classes) {
    if (one.name == name) return one;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", one.name);
  }
  fail("the dict_class '{}' is not supported; {} are", name, names);
}

const DictionaryClass& class_of(Activation activation) {
  if (activation == Activation::multi_topk) activation = Activation::topk;
  for (const DictionaryClass& one : classes) {
    if (one.activation == activation) return one;
  }
  fail("the dictionary-learning format has no class for {}", name_of(activation));
}

bool chooses_k(const DictionaryClass& kind) { return facts_of(kind.activation).chooses_k; }

/// Sizes of the groups between our nested dictionaries.
std::vector<int64_t> group_sizes(int64_t latents) {
  std::vector<int64_t> groups;
  int64_t before = 0;
  for (const int64_t size : nested_sizes(latents)) {
    groups.push_back(size - before);
    before = size;
  }
  return groups;
}

/// Only training knows of the groups: where they are not ours the autoencoder is a batch-topk one.
Activation nested_like_ours(const TorchFile& file, int64_t latents) {
  const auto host = Device::open(DeviceKind::cpu);
  const Tensor stored = file.read(*host, "group_sizes");
  CHECK(stored.dtype() == Dtype::i64, "group_sizes is {}, expected int64", name_of(stored.dtype()));
  return stored.to_vector<int64_t>() == group_sizes(latents) ? Activation::matryoshka : Activation::batch_topk;
}

void take_k(const Json& trainer, const TorchFile& file, ForeignTensors& tensors, AutoencoderParts& parts) {
  const Tensor stored = file.read(*parts.host, "k");
  CHECK(stored.dtype() == Dtype::i32 && stored.elements() == 1, "the tensor k is {}, expected one int32",
        stored.describe());
  parts.options.k = stored.to_vector<int32_t>()[0];
  CHECK(integer_or(trainer, "k", parts.options.k) == parts.options.k, "{} says that k is {}, {} says {}", config_name,
        trainer.at("k").integer(), weights_name, parts.options.k);
  tensors.ignore("k");
  const float threshold = tensors.take("threshold", {1}).to_vector<float>()[0];
  // -1 where it was never measured, which is 0 here.
  if (facts_of(parts.options.activation).whole_batch) {
    parts.extra = {Tensor::scalar(*parts.host, std::max(0.0f, threshold))};
  }
}

}  // namespace

AutoencoderParts read_dictionary_learning(const std::string& folder) {
  const Json config = Json::read(folder + "/" + config_name), trainer = config.at("trainer");
  const auto file = std::make_shared<TorchFile>(folder + "/" + weights_name);
  const DictionaryClass& kind = class_named(trainer.at("dict_class").text());
  AutoencoderParts parts;
  ForeignTensors tensors = ForeignTensors::of_torch_file(file, parts);
  AutoencoderOptions& options = parts.options;
  const Shape encoder = tensors.shape_of(kind.linear_layers ? "encoder.weight" : "W_enc");
  options.latents = encoder[kind.linear_layers ? 0 : 1];
  options.width = encoder[kind.linear_layers ? 1 : 0];
  options.activation = kind.activation;
  const Shape rows = {options.latents, options.width}, columns = {options.width, options.latents};
  if (kind.linear_layers) {
    parts.encoder = tensors.take("encoder.weight", rows);
    parts.decoder = transposed(tensors.take("decoder.weight", columns));
  } else {
    parts.encoder = transposed(tensors.take("W_enc", columns));
    parts.decoder = tensors.take("W_dec", rows);
  }
  parts.encoder_bias = tensors.take(std::string(kind.encoder_bias), {options.latents});
  parts.pre_bias = tensors.take(std::string(kind.pre_bias), {options.width});
  if (kind.activation == Activation::gated) {
    parts.extra = {tensors.take("r_mag", {options.latents}), tensors.take("mag_bias", {options.latents})};
  }
  if (kind.activation == Activation::jump_relu) {
    parts.extra = {log_threshold(tensors.take("threshold", {options.latents}))};
    options.bandwidth = unknown_bandwidth;
  }
  if (kind.activation == Activation::matryoshka) {
    options.activation = nested_like_ours(*file, options.latents);
    tensors.ignore("group_sizes");
  }
  if (chooses_k(kind)) take_k(trainer, *file, tensors, parts);
  tensors.require_all_taken(kind.name);
  if (!kind.subtracts_pre_bias) move_pre_bias(parts, 1);
  parts.notes.emplace_back("converted_from", "dictionary-learning");
  const std::string model = text_or(trainer, "lm_name", "");
  if (!model.empty()) parts.notes.emplace_back("model_name", model);
  read_own_normalisation(config, parts);
  read_own_facts(config, parts);
  return parts;
}

void write_dictionary_learning(const std::string& folder, AutoencoderParts parts, IfExists if_exists) {
  const AutoencoderOptions& options = parts.options;
  const DictionaryClass& kind = class_of(options.activation);
  if (!kind.subtracts_pre_bias) move_pre_bias(parts, -1);
  std::vector<NamedTensor> tensors;
  if (kind.linear_layers) {
    tensors = {{"encoder.weight", parts.encoder}, {"decoder.weight", transposed(parts.decoder)}};
  } else {
    tensors = {{"W_enc", transposed(parts.encoder)}, {"W_dec", parts.decoder}};
  }
  tensors.push_back({std::string(kind.encoder_bias), parts.encoder_bias});
  tensors.push_back({std::string(kind.pre_bias), parts.pre_bias});
  if (kind.activation == Activation::gated) {
    tensors.push_back({"r_mag", parts.extra[0]});
    tensors.push_back({"mag_bias", parts.extra[1]});
  }
  if (kind.activation == Activation::jump_relu) tensors.push_back({"threshold", thresholds(parts)});
  TorchExtras extras;
  Json trainer = Json::object();
  trainer.set("dict_class", kind.name).set("activation_dim", options.width).set("dict_size", options.latents);
  trainer.set("lm_name", note_of(parts.notes, "model")).set("device", "cpu");
  if (chooses_k(kind)) {
    Device& host = parts.encoder.device();
    const bool measured = facts_of(kind.activation).whole_batch;
    const float threshold = measured ? thresholds(parts).to_vector<float>()[0] : -1.0f;
    tensors.push_back({"k", Tensor::scalar(host, static_cast<int32_t>(options.k))});
    tensors.push_back({"threshold", Tensor::scalar(host, threshold)});
    extras.scalars = {"k", "threshold"};
    trainer.set("k", options.k);
  }
  if (kind.activation == Activation::matryoshka) {
    const std::vector<int64_t> groups = group_sizes(options.latents);
    tensors.push_back(
        {"group_sizes", Tensor::from(parts.encoder.device(), {static_cast<int64_t>(groups.size())}, groups)});
  }
  const std::string layer = note_of(parts.notes, "layer");
  if (!layer.empty()) trainer.set("layer", Json::parse(layer, "layer").integer());
  Json config = Json::object();
  config.set("trainer", trainer).set(own_facts_key, own_facts(parts));
  prepare_folder(folder, {weights_name, config_name}, if_exists);
  write_torch_file(folder + "/" + weights_name, tensors, extras, if_exists);
  config.write(folder + "/" + config_name, if_exists);
}

}  // namespace sae
