#include "experiments/compare_activations/seed_agreement.h"

#include <fmt/format.h>

#include "engine/files/atomic_file.h"
#include "experiments/common/progress.h"
#include "models/autoencoder/autoencoder_file.h"

namespace sae {

std::string write_seed_agreement(const std::string& path, const std::vector<SeedGroup>& groups, Device& device) {
  std::string csv = "activation,target_l0,pair,matched_cosine,above_0.9\n";
  std::string table =
      fmt::format("{:<14} {:>9}  {:>14} {:>10}\n", "activation", "target L0", "matched cosine", "above 0.9");
  Progress progress("dictionaries of seeds matched", static_cast<int64_t>(groups.size()), "groups");
  int64_t done = 0;
  for (const SeedGroup& group : groups) {
    progress.update(done++);
    if (group.autoencoders.size() < 2) continue;
    const LoadedAutoencoder first = load_autoencoder(group.autoencoders[0], device);
    const auto pairs = static_cast<double>(group.autoencoders.size() - 1);
    DictionaryMatch mean;
    for (size_t other = 1; other < group.autoencoders.size(); ++other) {
      const LoadedAutoencoder second = load_autoencoder(group.autoencoders[other], device);
      const DictionaryMatch match =
          match_dictionary(second.autoencoder.decoder().value(), first.autoencoder.decoder().value());
      csv += fmt::format("{},{},{},{:.5f},{:.5f}\n", group.activation, group.target_l0, other, match.mean_cosine,
                         match.found);
      mean.mean_cosine += match.mean_cosine / pairs;
      mean.found += match.found / pairs;
    }
    table += fmt::format("{:<14} {:>9}  {:>14.3f} {:>10.3f}\n", group.activation, group.target_l0, mean.mean_cosine,
                         mean.found);
  }
  progress.update(done);
  progress.finish();
  write_file(path, csv, IfExists::replace);
  return table;
}

}  // namespace sae
