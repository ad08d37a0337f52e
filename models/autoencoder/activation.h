#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sae {

/// What turns pre-activations into latents, and what is trained besides the reconstruction error; models/README.md has
/// the table of formulas. A new one is a value here, a row in the table of activation.cpp and a case in latents.cpp;
/// the compiler asks for each.
enum class Activation {
  relu,
  prolu,      ///< with the pseudo-gradient that resembles ReLU's
  prolu_ste,  ///< with the straight-through pseudo-gradient
  gated,
  jump_relu,
  topk,
  multi_topk,
  batch_topk,
  matryoshka,  ///< batch_topk with nested dictionaries
  sigmoid,     ///< the classical autoencoder: every latent is above 0, so it has no L0
};

/// What the training step, the command lines and the sweep must know of an activation.
struct ActivationFacts {
  std::string_view name;
  bool chooses_k = false;  ///< k says how many latents are active, and AuxK revives dead ones; else the penalty decides
  bool resampled = false;  ///< dead latents are resampled a few times a run (Bricken et al. 2023)
  bool bias_is_threshold = false;  ///< b_enc only decides what is active: it is not added to the values
  bool unit_decoder = false;       ///< decoder rows are kept at length 1
  bool whole_batch =
      false;  ///< latents of a row depend on its batch in training; a threshold takes the batch's place later
};
ActivationFacts facts_of(Activation activation);

const std::vector<Activation>& all_activations();
std::string_view name_of(Activation activation);
/// Throws, listing the names, on anything else.
Activation parse_activation(std::string_view text);
/// "relu|prolu|...", for --help.
std::string activation_names();

}  // namespace sae
