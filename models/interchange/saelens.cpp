// SAELens 6: SAE.load_from_disk.
#include <cmath>
#include <filesystem>

#include "engine/error.h"
#include "models/interchange/foreign_formats.h"

namespace sae {
namespace {

constexpr const char* weights_name = "sae_weights.safetensors";
constexpr const char* config_name = "cfg.json";
/// Beside checkpoints whose factor is not folded into the weights yet.
constexpr const char* scaler_name = "activation_scaler.json";

/// What SAELens' constant_norm_rescale makes of a row, as a constant times our rows of unit length.
double constant_norm_length(int64_t width) { return std::sqrt(static_cast<double>(width)); }

/// Folders of SAELens before 6 keep everything in one object and name the activation function there.
bool is_flat(const Json& config) { return !config.has("metadata"); }

std::string architecture_of(const Json& config) {
  if (!is_flat(config)) return config.at("architecture").text();
  const std::string function = text_or(config, "activation_fn_str", text_or(config, "activation_fn", "relu"));
  const std::string architecture = text_or(config, "architecture", "standard");
  if (architecture == "standard" && function == "topk") return "topk";
  CHECK(function == "relu" || (function == "topk" && architecture == "topk"),
        "the activation function '{}' is not supported; relu and topk are", function);
  return architecture;
}

int64_t k_of(const Json& config) {
  // SAELens itself takes 100 where k is missing, which is hardly ever meant.
  return config.has("k") || !config.has("activation_fn_kwargs") ? config.at("k").integer()
                                                                : config.at("activation_fn_kwargs").at("k").integer();
}

void take_activation(const std::string& architecture, const Json& config, ForeignTensors& tensors,
                     AutoencoderParts& parts) {
  const Shape per_latent = {parts.options.latents};
  if (architecture == "gated") {
    parts.options.activation = Activation::gated;
    parts.encoder_bias = tensors.take("b_gate", per_latent);
    parts.extra = {tensors.take("r_mag", per_latent), tensors.take("b_mag", per_latent)};
    return;
  }
  parts.encoder_bias = tensors.take("b_enc", per_latent);
  if (architecture == "standard") {
    parts.options.activation = Activation::relu;
  } else if (architecture == "topk") {
    parts.options.activation = Activation::topk;
    parts.options.k = k_of(config);
  } else if (architecture == "jumprelu") {
    parts.options.activation = Activation::jump_relu;
    parts.options.bandwidth = unknown_bandwidth;
    parts.extra = {log_threshold(tensors.take("threshold", per_latent))};
  } else {
    fail("the architecture '{}' is not supported; standard, topk, jumprelu and gated are{}", architecture,
         architecture.ends_with("batchtopk") ? " (save_inference_model makes a jumprelu one of this)" : "");
  }
}

/// Takes what SAELens does to rows into the options and the weights.
void take_normalisation(const std::string& folder, const Json& config, AutoencoderParts& parts) {
  std::string how = "none";
  if (config.has("normalize_activations")) {
    const Json stored = config.at("normalize_activations");
    if (stored.is_boolean()) {
      how = stored.boolean() ? "expected_average_only_in" : "none";
    } else if (!stored.is_null()) {
      how = stored.text();
    }
  }
  parts.options.normalisation = InputNormalisation::none;
  const int64_t width = parts.options.width;
  if (how == "none") return;
  if (how == "layer_norm") {
    parts.options.normalisation = InputNormalisation::centred_unit_norm;
    scale_inputs(parts, layer_norm_length(width));
  } else if (how == "constant_norm_rescale") {
    parts.options.normalisation = InputNormalisation::unit_norm;
    scale_inputs(parts, constant_norm_length(width));
  } else if (how == "expected_average_only_in") {
    const std::string scaler = folder + "/" + scaler_name;
    CHECK(std::filesystem::exists(scaler),
          "it reads activations times a constant that the folder does not hold (normalize_activations is {}, and there "
          "is no {}); fold_activation_norm_scaling_factor puts the constant into the weights",
          how, scaler_name);
    const double factor = Json::read(scaler).at("scaling_factor").number();
    CHECK(std::isfinite(factor) && factor > 0, "{}: the scaling factor is {}", scaler, factor);
    scale_inputs(parts, factor);
  } else {
    fail(
        "normalize_activations '{}' is not supported; none, layer_norm, constant_norm_rescale and "
        "expected_average_only_in are",
        how);
  }
}

void take_notes(const Json& config, AutoencoderParts& parts) {
  const Json about = is_flat(config) ? config : config.at("metadata");
  parts.notes.emplace_back("converted_from", "saelens");
  read_hook_name(text_or(about, "hook_name", text_or(about, "hook_point", "")), parts.notes);
  const std::string model = text_or(about, "model_name", "");
  if (!model.empty()) parts.notes.emplace_back("model_name", model);
  const int64_t context = integer_or(about, "context_size", 0);
  if (context > 0) parts.notes.emplace_back("context_length", std::to_string(context));
  if (is_flat(config) || (about.has("prepend_bos") && !about.at("prepend_bos").is_null())) {
    parts.notes.emplace_back("beginning", boolean_or(about, "prepend_bos", true) ? "on" : "off");
  }
  read_own_facts(about, parts);
}

/// The tensors of the activation; returns SAELens' name of the architecture.
std::string add_activation(std::vector<NamedTensor>& tensors, const AutoencoderParts& parts) {
  switch (parts.options.activation) {
    case Activation::gated:
      tensors.push_back({"b_gate", parts.encoder_bias});
      tensors.push_back({"r_mag", parts.extra[0]});
      tensors.push_back({"b_mag", parts.extra[1]});
      return "gated";
    case Activation::relu:
      tensors.push_back({"b_enc", parts.encoder_bias});
      return "standard";
    case Activation::topk:
    case Activation::multi_topk:
      tensors.push_back({"b_enc", parts.encoder_bias});
      return "topk";
    case Activation::jump_relu:
    case Activation::batch_topk:
    case Activation::matryoshka:
      tensors.push_back({"b_enc", parts.encoder_bias});
      tensors.push_back({"threshold", thresholds(parts)});
      return "jumprelu";
    case Activation::prolu:
    case Activation::prolu_ste:
    case Activation::sigmoid:
      break;
  }
  fail("the saelens format has no architecture for {}", name_of(parts.options.activation));
}

std::string give_normalisation(AutoencoderParts& parts) {
  const int64_t width = parts.options.width;
  switch (parts.options.normalisation) {
    case InputNormalisation::none:
      return "none";
    case InputNormalisation::unit_norm:
      scale_inputs(parts, 1 / constant_norm_length(width));
      return "constant_norm_rescale";
    case InputNormalisation::centred_unit_norm:
      scale_inputs(parts, 1 / layer_norm_length(width));
      return "layer_norm";
  }
  fail("input normalisation: unknown value {}", static_cast<int>(parts.options.normalisation));
}

}  // namespace

AutoencoderParts read_saelens(const std::string& folder) {
  const Json config = Json::read(folder + "/" + config_name);
  AutoencoderParts parts;
  ForeignTensors tensors = ForeignTensors::of_safetensors(folder + "/" + weights_name, parts);
  parts.options.width = config.at("d_in").integer();
  parts.options.latents = config.at("d_sae").integer();
  CHECK(parts.options.width > 0 && parts.options.latents > 0, "d_in is {} and d_sae {}, expected at least 1",
        parts.options.width, parts.options.latents);
  const std::string architecture = architecture_of(config);
  take_activation(architecture, config, tensors, parts);
  parts.encoder = transposed(tensors.take("W_enc", {parts.options.width, parts.options.latents}));
  parts.decoder = tensors.take("W_dec", {parts.options.latents, parts.options.width});
  parts.pre_bias = tensors.take("b_dec", {parts.options.width});
  if (is_flat(config)) {
    // Before 6 a factor could be stored; where it was not trained it is 1 everywhere.
    CHECK(!boolean_or(config, "finetuning_scaling_factor", false), "finetuning_scaling_factor is not supported");
    tensors.ignore("scaling_factor");
  }
  tensors.require_all_taken(fmt::format("the architecture {}", architecture));
  if (boolean_or(config, "rescale_acts_by_decoder_norm", false)) scale_latents(parts, decoder_norms(parts));
  if (!boolean_or(config, "apply_b_dec_to_input", true)) move_pre_bias(parts, 1);
  take_normalisation(folder, config, parts);
  take_notes(config, parts);
  return parts;
}

void write_saelens(const std::string& folder, AutoencoderParts parts, IfExists if_exists) {
  const AutoencoderOptions& options = parts.options;
  const std::string normalisation = give_normalisation(parts);
  std::vector<NamedTensor> tensors = {
      {"W_enc", transposed(parts.encoder)}, {"W_dec", parts.decoder}, {"b_dec", parts.pre_bias}};
  Json config = Json::object();
  config.set("architecture", add_activation(tensors, parts))
      .set("d_in", options.width)
      .set("d_sae", options.latents)
      .set("dtype", "float32")
      .set("device", "cpu")
      .set("apply_b_dec_to_input", true)
      .set("normalize_activations", normalisation)
      .set("reshape_activations", "none");
  if (facts_of(options.activation).chooses_k && !facts_of(options.activation).whole_batch) {
    config.set("k", options.k).set("rescale_acts_by_decoder_norm", false);
  }
  Json metadata = Json::object();
  const std::string model = note_of(parts.notes, "model");
  metadata
      .set("sae_lens_version", "6.18.0")  // the version whose format this is
      .set("made_by", "sae.cpp")
      .set("model_name", model.empty() ? note_of(parts.notes, "model_name") : model)
      .set("hook_name", hook_name(parts.notes))
      .set("prepend_bos", note_of(parts.notes, "beginning") == "on")
      .set(own_facts_key, own_facts(parts));
  const std::string context = note_of(parts.notes, "context_length");
  if (!context.empty()) metadata.set("context_size", Json::parse(context, "context_length").integer());
  config.set("metadata", metadata);
  prepare_folder(folder, {weights_name, config_name}, if_exists);
  // No metadata in the weights' file: SAELens reads cfg.json alone, and the tensors must be exactly these.
  write_safetensors(folder + "/" + weights_name, tensors, {}, if_exists);
  config.write(folder + "/" + config_name, if_exists);
}

}  // namespace sae
