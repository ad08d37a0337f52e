#include "experiments/train/diagnosis.h"

#include <fmt/format.h>

#include <cmath>

namespace sae {
namespace {

std::string dead_latents(const RunPlan& plan, double fraction) {
  const ActivationFacts facts = facts_of(plan.model.activation);
  std::string text = fmt::format("{:.0f} % of the latents fired on no validation row: ", 100 * fraction);
  if (facts.chooses_k) {
    if (plan.model.k_aux == 0) return text + "AuxK is off (--k-aux 0); switch it on";
    return text + "raise --aux-weight, lower --lr (a large one kills latents), or train longer";
  }
  if (facts.resampled) {
    if (plan.resamples == 0) return text + "nothing resampled them; give --resamples 4";
    return text + "resampling did not keep them; lower --penalty or --lr, or raise --penalty-warmup";
  }
  return text + "nothing revives them with this activation; lower --lr, or raise --penalty-warmup";
}

/// How far the thresholds have moved, as a mean over latents of |log(threshold / start)|.
double threshold_movement(const Autoencoder& autoencoder) {
  const double start = std::log(autoencoder.options().bandwidth);
  double sum = 0;
  const std::vector<double> logs = autoencoder.extra("log_threshold").value().to(Dtype::f64).to_vector<double>();
  for (const double value : logs) sum += std::abs(value - start);
  return sum / static_cast<double>(logs.size());
}

}  // namespace

std::vector<std::string> diagnosis(const RunPlan& plan, const RunResult& result, const Autoencoder& autoencoder) {
  std::vector<std::string> lines;
  const Metrics& last = result.points.back().validation;
  const bool has_l0 = plan.model.activation != Activation::sigmoid;
  const double moved = movement(result);
  if (moved > still_moving) {
    lines.push_back(
        fmt::format("still moving: NMSE or L0 changed by {:.0f} % in the last fifth of the run; give more "
                    "--tokens, or compare it only with runs of the same length",
                    100 * moved));
  }
  if (!facts_of(plan.model.activation).chooses_k && has_l0) {
    if (last.l0 < 1) {
      lines.push_back(
          fmt::format("the penalty is saturated: only {:.2f} latents are active; lower --penalty", last.l0));
    } else if (last.l0 > 0.1 * static_cast<double>(plan.model.latents)) {
      lines.push_back(
          fmt::format("hardly sparse: {:.0f} of {} latents are active; raise --penalty", last.l0, plan.model.latents));
    }
  }
  if (plan.model.activation == Activation::jump_relu && threshold_movement(autoencoder) < 0.1) {
    lines.push_back("the thresholds stayed where they began: raise --bandwidth or --threshold-rate");
  }
  if (has_l0 && last.dead_fraction > 0.1) lines.push_back(dead_latents(plan, last.dead_fraction));
  for (std::string& line : lines) line = "diagnosis: " + line;
  return lines;
}

}  // namespace sae
