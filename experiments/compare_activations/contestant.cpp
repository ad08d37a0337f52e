#include "experiments/compare_activations/contestant.h"

#include <algorithm>

#include "engine/error.h"
#include "experiments/common/options.h"

namespace sae {
namespace {

constexpr std::string_view frozen_suffix = "-frozen";

}  // namespace

std::string name_of(const Contestant& contestant) {
  return std::string(name_of(contestant.activation)).append(contestant.frozen_decoder ? frozen_suffix : "");
}

std::vector<Contestant> parse_contestants(std::string_view text) {
  std::vector<Contestant> contestants;
  for (std::string name : split_at_commas(text)) {
    const bool frozen = name.ends_with(frozen_suffix);
    if (frozen) name.resize(name.size() - frozen_suffix.size());
    const Contestant contestant{parse_activation(name), frozen};
    CHECK(contestant.activation != Activation::sigmoid,
          "--activations: the latents of sigmoid are all above 0, so it has no place on an axis of L0; see train");
    CHECK(std::find(contestants.begin(), contestants.end(), contestant) == contestants.end(),
          "--activations: {} is named twice", name_of(contestant));
    contestants.push_back(contestant);
  }
  return contestants;
}

}  // namespace sae
