#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/files/json.h"
#include "models/autoencoder/autoencoder.h"
#include "models/language_model/language_model.h"

namespace sae {

class BigramModel;
class SimulatedLatents;

/// Which text is run, and where its activations are replaced.
struct ReplacementPlan {
  SitePlace place;
  int64_t context_length = 64;
  int64_t skip_positions = 1;  ///< of every context: their activations are kept, and what they predict is not counted
};

/// Contexts that have been through the lower part of the model: once for everything that may be put in.
struct LowerPart {
  std::vector<int32_t> ids;
  Tensor residual;     // [rows, width], where the upper part goes on from
  Tensor activations;  // [rows, width] at the place; the same memory for resid_post
};
LowerPart run_lower_part(const LanguageModel& model, std::span<const int32_t> ids, const ReplacementPlan& plan);

/// Something that is put in the place of activations: nothing new (what the model does by itself), zeros, their mean,
/// an autoencoder's reconstruction, or what its decoder makes of simulated latents: that, as every reconstruction, gets
/// the mean and the norm of the row it replaces. `bigrams` take the place of the whole model, for comparison.
struct Substitute {
  enum class Kind { original, zero, mean, autoencoder, simulated, bigrams };
  std::string name;
  Kind kind = Kind::original;
  const Autoencoder* autoencoder = nullptr;     ///< of autoencoder and simulated
  const SimulatedLatents* simulated = nullptr;  ///< of simulated
  const BigramModel* bigrams = nullptr;         ///< of bigrams
  bool has_latents() const { return autoencoder != nullptr; }
};

/// The mean of the activations at positions that are replaced, in the model's own units and as autoencoders see them:
/// what mean-ablation puts in, and what a normalised MSE of 1 predicts.
struct ActivationMeans {
  Tensor own;                                    // [width]
  std::map<InputNormalisation, Tensor> as_seen;  // [width], for each normalisation that a substitute has
};
ActivationMeans activation_means(std::span<const LowerPart> parts, const ReplacementPlan& plan,
                                 std::span<const Substitute> substitutes);

/// What a substitute does to one context, or to many added up. Losses are in nats.
struct ReplacedLoss {
  int64_t contexts = 0, tokens = 0;  ///< tokens: predictions from replaced positions
  double loss = 0, increase = 0;     ///< next-token cross-entropy, and what it has more than with the original
  double divergence = 0;             ///< KL(original || replaced) over the vocabulary
  double increase_squares = 0, divergence_squares = 0;  ///< of the means of contexts
  int64_t rows = 0;                                     ///< where there are latents: replaced rows,
  double active = 0, error = 0, energy = 0;  ///< latents above 0, squared error, squared distance from the mean
  void add(const ReplacedLoss& other);

  double mean_loss() const { return loss / static_cast<double>(tokens); }
  double mean_increase() const { return increase / static_cast<double>(tokens); }
  double mean_divergence() const { return divergence / static_cast<double>(tokens); }
  /// Standard errors over contexts, whose positions depend on each other.
  double increase_error() const;
  double divergence_error() const;
  double l0() const { return active / static_cast<double>(rows); }
  double normalised_mse() const { return error / energy; }
};
Json to_json(const ReplacedLoss& loss);
ReplacedLoss read_replaced_loss(const Json& json);

/// Runs the upper part of the model once for each substitute. For every substitute, the losses of each context in
/// order; equal bits whatever contexts share a call.
std::vector<std::vector<ReplacedLoss>> replaced_losses(const LanguageModel& model, const LowerPart& part,
                                                       const ReplacementPlan& plan, const ActivationMeans& means,
                                                       std::span<const Substitute> substitutes);

}  // namespace sae
