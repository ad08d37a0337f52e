#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/files/json.h"
#include "experiments/report/directions.h"
#include "experiments/report/firings.h"
#include "models/explanation/explanation_file.h"

namespace sae {

/// Explanations by latent.
using Explanations = std::map<int64_t, Explanation>;

/// All that is shown of one autoencoder.
struct AutoencoderReport {
  std::string name;
  std::vector<std::pair<std::string, std::string>> card;  ///< facts about it, as they are shown
  int64_t latents = 0, dead = 0;                          ///< of the whole autoencoder
  std::vector<int64_t> shown;                             ///< latents with a page, ascending
  std::vector<DirectionReport> directions;                ///< of these
  const Firings* firings = nullptr;
  const Explanations* explanations = nullptr;
};

struct ReportFigure {
  std::string file;  ///< an SVG file
  std::string caption;
};

/// The folder of a report: a page that opens from the disk, and its data as scripts that the page loads when it needs
/// them, because a page from the disk may not fetch. Texts are stored once; latents in shards of 64.
class ReportFolder {
 public:
  /// Writes the page itself. `rows`: the split whose texts are shown; `first_position`: of a context that explanations
  /// may see, those before being left out of training.
  ReportFolder(std::string folder, const SplitRows& rows, int64_t first_position, uint64_t seed);

  /// The tokens' texts, and the split's token ids.
  void write_text(int64_t vocabulary, const std::function<std::string(int32_t)>& text);
  void add_autoencoder(const AutoencoderReport& report);
  /// The page's first data, written last.
  void finish(const std::string& title, const std::vector<std::pair<std::string, std::string>>& card,
              const std::vector<ReportFigure>& figures);

 private:
  void write_data(const std::string& key, const std::string& json) const;
  std::string example(const Firing& firing, const std::map<int64_t, float>& values) const;
  std::string examples(const std::vector<Firing>& shown, const std::vector<Firing>& all) const;
  std::string latent_json(const AutoencoderReport& report, size_t i, const LatentStatistics& statistics) const;

  std::string folder_;
  const SplitRows& rows_;
  int64_t first_position_;
  uint64_t seed_;
  int64_t context_length_;
  Json autoencoders_ = Json::array();
};

}  // namespace sae
