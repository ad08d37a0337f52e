#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "models/autoencoder/activation.h"

namespace sae {

/// What the sweep compares: an activation, its decoder learned or left at its random start (a baseline for what
/// learning the dictionary gives).
struct Contestant {
  Activation activation{};
  bool frozen_decoder = false;

  friend auto operator<=>(const Contestant&, const Contestant&) = default;
};

/// "topk", or "topk-frozen".
std::string name_of(const Contestant& contestant);

/// Reads "topk,relu,topk-frozen". Throws on an unknown name, and on sigmoid, whose latents have no L0.
std::vector<Contestant> parse_contestants(std::string_view text);

}  // namespace sae
