#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/common/training_run.h"

namespace sae {

/// What chooses the latents at test time.
enum class TestMode { trained, topk, jump_relu };
std::string_view name_of(TestMode mode);

struct TestPoint {
  TestMode mode = TestMode::trained;
  int64_t target_l0 = 0;  ///< of topk its k, of jump_relu what the threshold aims at; 0 as trained
  double threshold = 0;   ///< of jump_relu
  Metrics metrics;        ///< on the test split
};

/// One autoencoder with its activation replaced.
struct Progression {
  std::string name;
  AutoencoderOptions model;
  std::vector<TestPoint> points;  ///< as trained, then topk, then jump_relu, in the order of the targets
  const Metrics& trained() const { return points.front().metrics; }
};

/// Evaluates the autoencoder as it is, with TopK(k) for each k of `targets`, and with one threshold for all latents
/// that gives each of them as the mean number of active latents of `sample` (thresholds_for). A target that no
/// threshold reaches has no point.
Progression measure_progression(const std::string& name, const Autoencoder& autoencoder, const SplitRows& test,
                                const DataStatistics& statistics, const Tensor& sample,
                                std::span<const int64_t> targets);

/// One line for each point.
void write_progression_csv(const std::string& path, const std::vector<Progression>& all);
/// One line for each autoencoder: its error as trained and at every target, by both modes.
std::string progression_table(const std::vector<Progression>& all, std::span<const int64_t> targets);
/// Normalised MSE over L0, a panel for each activation (Gao et al., Fig. 10); in every panel the errors of the TopK
/// autoencoders as they were trained, where there are several. Writes PATH.svg, .png and .gp.
void draw_progression(const std::string& path, const std::string& title, const std::vector<Progression>& all);

}  // namespace sae
