// What stored activations are like, before anything is trained on them.
#include <fmt/format.h>

#include "engine/error.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/inspect/activation_statistics.h"

namespace {

using namespace sae;

constexpr const char* description =
    R"(Says what stored activations are like: norms by the position in the context, and the channels that hold the most
energy, at position 0 (an attention sink in many models) and elsewhere, where rows longer than ten times the median are
left out. Sun et al. 2024 call a value massive that is above 100 and about 1000 times the median of its row's.

  inspect activations/test
  inspect --channels 10 activations/test other/test)";

int inspect(const Options& options) {
  apply_threads(options);
  const int64_t channels = options.get_integer("channels", 0, 1 << 20);
  const std::vector<std::string> folders = options.get_texts("store");
  CHECK(!folders.empty(), "name a store, such as activations/test (see --help)");
  for (size_t i = 0; i < folders.size(); ++i) {
    const ActivationStore store(folders[i]);
    fmt::print("{}{}", i > 0 ? "\n\n" : "", to_string(store.description(), activation_statistics(store, channels)));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("inspect", description);
  options.positional("store", "stores: folders of a split, as harvest writes them")
      .integer("channels", 5, "N", "how many channels to list")
      .integer("threads", 0, "N", "processor threads; 0: all");
  return sae::run_program(options, argc, argv, [&] { return inspect(options); });
}
