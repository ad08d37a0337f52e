#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/common/training_run.h"

namespace sae {

/// The recipe, or the recipe without one or two of its parts (Gao et al., appendix C).
struct Variant {
  std::string name;
  bool tied_start = true;    ///< encoder rows start along the decoder's
  bool auxiliary = true;     ///< AuxK
  bool encoder_bias = true;  ///< b_enc is learned; else it stays 0
  bool unit_decoder = true;  ///< decoder rows are kept at length 1
};
/// The recipe first.
const std::vector<Variant>& all_variants();

/// The variant's run: the recipe's with what the variant lacks, in a folder of its own below the recipe's.
RunPlan plan_of(const Variant& variant, const RunPlan& recipe);

/// A run over its tokens, from its metrics.jsonl: means over intervals of training.
struct TrainingCurve {
  struct Point {
    int64_t tokens = 0;
    double normalised_mse = 0, l0 = 0;
    int64_t dead = 0;  ///< at the interval's end
  };
  std::vector<Point> points;
};
TrainingCurve read_curve(const std::string& folder);

struct Ablation {
  Variant variant;
  RunPlan plan;
  RunResult result;
  TrainingCurve curve;
  /// Latents that did not fire for dead_after rows, at the end of training.
  double dead_fraction() const;
};

/// One line for each variant that did not diverge, of the test split.
void write_ablation_csv(const std::string& path, std::span<const Ablation> all);
/// One line for each variant and interval.
void write_curves_csv(const std::string& path, std::span<const Ablation> all);
std::string ablation_table(std::span<const Ablation> all);
/// Dead latents and training error over tokens (Gao et al., Fig. 15 to 18). Writes PATH.svg, .png and .gp.
void draw_ablation(const std::string& path, const std::string& title, std::span<const Ablation> all);

}  // namespace sae
