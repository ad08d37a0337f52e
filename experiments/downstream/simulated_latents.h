#pragma once

#include "experiments/downstream/replaced_loss.h"
#include "models/explanation/latent_predictor.h"

namespace sae {

/// An autoencoder's latents, made up from their explanations in the place of the activations (Gao et al., section 4.4):
///   z_i(t) = alpha_i s_i(t),  alpha_i = E[s_i a_i] / E[s_i^2],
/// s_i what the patterns of latent i predict at token t, a_i its activation there; the means are over a text other than
/// the one that losses are measured on. A latent without an explanation is never active.
///
/// Patterns see the positions that are replaced: the attention sink before them says nothing of its token.
class SimulatedLatents {
 public:
  /// Keeps a reference. Throws on an explanation of a latent that the autoencoder does not have.
  SimulatedLatents(const Autoencoder& autoencoder, std::span<const Explanation> explanations,
                   const ReplacementPlan& plan);

  /// Adds contexts to the means.
  void calibrate(const LowerPart& part);
  /// alpha; 0 for a latent that was not predicted in the calibration text, or never while it fired.
  double scale(int64_t latent) const;
  /// The latents at every token of some contexts: [tokens, latents], compressed, empty where nothing is replaced.
  Value simulate(std::span<const int32_t> ids, Device& device) const;

  int64_t explained() const { return explained_; }
  /// Of the firings in the calibration text: which share is of latents that have an explanation.
  double explained_firings() const;

 private:
  std::vector<std::vector<LatentActivation>> predict(std::span<const int32_t> ids) const;

  const Autoencoder& autoencoder_;
  ReplacementPlan plan_;
  LatentPredictor predictor_;
  int64_t explained_ = 0;
  std::vector<uint8_t> has_explanation_;    // [latents]
  std::vector<double> products_, squares_;  // [latents]: sums of s a, of s^2
  int64_t firings_ = 0, firings_explained_ = 0;
};

}  // namespace sae
