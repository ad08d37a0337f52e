#include "models/autoencoder/activation.h"

#include <fmt/format.h>

#include "engine/error.h"

namespace sae {

ActivationFacts facts_of(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return {.name = "relu", .resampled = true, .unit_decoder = true};
    case Activation::prolu:
      return {.name = "prolu", .resampled = true, .bias_is_threshold = true, .unit_decoder = true};
    case Activation::prolu_ste:
      return {.name = "prolu-ste", .resampled = true, .bias_is_threshold = true, .unit_decoder = true};
    case Activation::gated:
      return {.name = "gated", .resampled = true, .unit_decoder = true};
    case Activation::jump_relu:
      return {.name = "jumprelu", .unit_decoder = true};
    case Activation::topk:
      return {.name = "topk", .chooses_k = true, .unit_decoder = true};
    case Activation::multi_topk:
      return {.name = "multi-topk", .chooses_k = true, .unit_decoder = true};
    case Activation::batch_topk:
      return {.name = "batch-topk", .chooses_k = true, .unit_decoder = true, .whole_batch = true};
    case Activation::matryoshka:
      return {.name = "matryoshka", .chooses_k = true, .unit_decoder = true, .whole_batch = true};
    case Activation::sigmoid:
      return {.name = "sigmoid"};
  }
  fail("activation: unknown value {}", static_cast<int>(activation));
}

const std::vector<Activation>& all_activations() {
  static const std::vector<Activation> all = {
      Activation::relu, Activation::prolu,      Activation::prolu_ste,  Activation::gated,      Activation::jump_relu,
      Activation::topk, Activation::multi_topk, Activation::batch_topk, Activation::matryoshka, Activation::sigmoid};
  return all;
}

std::string_view name_of(Activation activation) { return facts_of(activation).name; }

Activation parse_activation(std::string_view text) {
  for (const Activation activation : all_activations()) {
    if (text == name_of(activation)) return activation;
  }
  fail("activation: expected {}, got '{}'", activation_names(), text);
}

std::string activation_names() {
  std::string names;
  for (const Activation activation : all_activations()) {
    names += fmt::format("{}{}", names.empty() ? "" : "|", name_of(activation));
  }
  return names;
}

}  // namespace sae
