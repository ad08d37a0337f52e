#include "models/autoencoder/autoencoder_file.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/error.h"

namespace sae {
namespace {

constexpr std::string_view file_kind = "sae.cpp autoencoder 1";
constexpr std::string_view checkpoint_kind = "sae.cpp checkpoint 1";

template <class T>
T number_in(const SafetensorsFile& file, std::string_view key) {
  const std::string& text = file.metadata(key);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK(error == std::errc() && end == text.data() + text.size(), "{}: metadata '{}' is '{}', expected a number",
        file.name(), key, text);
  return value;
}

void require_kind(const SafetensorsFile& file, std::string_view kind) {
  CHECK(file.has_metadata("kind") && file.metadata("kind") == kind, "{}: is not a '{}' file (its metadata say '{}')",
        file.name(), kind, file.has_metadata("kind") ? file.metadata("kind") : std::string("nothing"));
}

}  // namespace

void save_autoencoder(const std::string& path, const Autoencoder& autoencoder, const Metadata& notes,
                      IfExists if_exists) {
  const AutoencoderOptions& options = autoencoder.options();
  Metadata metadata = {{"kind", std::string(file_kind)},
                       {"activation", std::string(name_of(options.activation))},
                       {"k", std::to_string(options.k)},
                       {"penalty", fmt::format("{}", options.penalty)},
                       {"k_aux", std::to_string(options.k_aux)},
                       {"aux_weight", fmt::format("{}", options.aux_weight)},
                       {"input_normalisation", std::string(name_of(options.normalisation))}};
  if (options.activation == Activation::jump_relu)
    metadata.emplace_back("bandwidth", fmt::format("{}", options.bandwidth));
  if (options.activation == Activation::sigmoid) {
    metadata.emplace_back("target_rate", fmt::format("{}", options.target_rate));
    metadata.emplace_back("weight_decay", fmt::format("{}", options.weight_decay));
  }
  metadata.insert(metadata.end(), notes.begin(), notes.end());
  std::vector<NamedTensor> tensors;
  for (const Parameter* parameter : autoencoder.parameters())
    tensors.push_back({parameter->name(), parameter->value()});
  write_safetensors(path, tensors, metadata, if_exists);
}

LoadedAutoencoder load_autoencoder(const std::string& path, Device& device) {
  const SafetensorsFile file(path);
  require_kind(file, file_kind);
  const Shape shape = file.entry("encoder").shape;
  CHECK(shape.rank() == 2, "{}: 'encoder' has shape {}, expected [latents, width]", path, shape.to_string());
  AutoencoderOptions options;
  options.latents = shape[0];
  options.width = shape[1];
  options.activation = parse_activation(file.metadata("activation"));
  options.k = number_in<int64_t>(file, "k");
  // Files from before there were other penalties than L1 call the weight by that name.
  options.penalty = number_in<double>(file, file.has_metadata("l1") ? "l1" : "penalty");
  options.k_aux = number_in<int64_t>(file, "k_aux");
  options.aux_weight = number_in<double>(file, "aux_weight");
  if (options.activation == Activation::jump_relu) options.bandwidth = number_in<double>(file, "bandwidth");
  if (options.activation == Activation::sigmoid) {
    options.target_rate = number_in<double>(file, "target_rate");
    options.weight_decay = number_in<double>(file, "weight_decay");
  }
  // Files from before there was a choice may lack it.
  if (file.has_metadata("input_normalisation")) {
    options.normalisation = parse_input_normalisation(file.metadata("input_normalisation"));
  }
  try {
    std::vector<Tensor> extra;
    for (const ExtraParameter& one : extra_parameters(options)) extra.push_back(file.read(device, one.name));
    return {Autoencoder(options, file.read(device, "encoder"), file.read(device, "encoder_bias"),
                        file.read(device, "decoder"), file.read(device, "pre_bias"), std::move(extra)),
            file.metadata()};
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
  }
}

void save_checkpoint(const std::string& path, const Trainer& trainer, const Metadata& notes) {
  Metadata metadata = {{"kind", std::string(checkpoint_kind)}};
  metadata.insert(metadata.end(), notes.begin(), notes.end());
  std::vector<NamedTensor> tensors;
  for (auto& [name, tensor] : trainer.state().tensors) tensors.push_back({name, tensor});
  write_safetensors(path, tensors, metadata, IfExists::replace);
}

Metadata restore_checkpoint(const std::string& path, Trainer& trainer) {
  const SafetensorsFile file(path);
  require_kind(file, checkpoint_kind);
  Trainer::State state;
  Device& device = trainer.autoencoder().encoder().value().device();
  for (const std::string& name : file.names()) state.tensors.emplace_back(name, file.read(device, name));
  try {
    trainer.restore(state);
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
  }
  return file.metadata();
}

}  // namespace sae
