#pragma once

#include <string>
#include <vector>

#include "experiments/common/training_run.h"
#include "models/autoencoder/refine.h"

namespace sae {

/// What refining its latents changed for one autoencoder.
struct Shrinkage {
  std::string name;
  AutoencoderOptions model;
  Metrics before, after;
  double raised = 0;         ///< share of the active latents' values that rose
  double mean_change = 0;    ///< sum of the refined values over sum of the encoder's, minus 1: above 0 is shrinkage
  std::vector<double> bins;  ///< share of the active values by refined / encoded - 1, from -1 in steps of bin_width
};
constexpr double bin_width = 0.05;
constexpr size_t bin_count = 60;  ///< up to a value four times as large as it was; what lies above counts in the last

/// Encodes the first `rows` rows of the split, refines the latents, and compares.
Shrinkage measure_shrinkage(const std::string& name, const Autoencoder& autoencoder, const SplitRows& split,
                            int64_t rows, const DataStatistics& statistics);

/// One line for each autoencoder, and the histograms.
void write_shrinkage_csv(const std::string& path, const std::vector<Shrinkage>& all);
std::string shrinkage_table(const std::vector<Shrinkage>& all);
/// Normalised MSE over L0 before and after, and beside it the histogram of each activation's autoencoder nearest to an
/// L0 of 32 (Gao et al., Fig. 9). Writes PATH.svg, .png and .gp.
void draw_shrinkage(const std::string& path, const std::string& title, const std::vector<Shrinkage>& all);

}  // namespace sae
