#include "experiments/compare_activations/contestant.h"

#include <algorithm>

#include "engine/error.h"

namespace sae {
namespace {

constexpr std::string_view frozen_suffix = "-frozen";

}  // namespace

std::string name_of(const Contestant& contestant) {
  return std::string(name_of(contestant.activation)).append(contestant.frozen_decoder ? frozen_suffix : "");
}

std::vector<Contestant> parse_contestants(std::string_view text) {
  std::vector<Contestant> contestants;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string_view name = text.substr(begin, end - begin);
    const bool frozen = name.ends_with(frozen_suffix);
    if (frozen) name.remove_suffix(frozen_suffix.size());
    const Contestant contestant{parse_activation(std::string(name)), frozen};
    CHECK(contestant.activation != Activation::sigmoid,
          "--activations: the latents of sigmoid are all above 0, so it has no place on an axis of L0; see train");
    CHECK(std::find(contestants.begin(), contestants.end(), contestant) == contestants.end(),
          "--activations: {} is named twice", name_of(contestant));
    contestants.push_back(contestant);
    begin = end + 1;
  }
  return contestants;
}

}  // namespace sae
