#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/files/activation_writer.h"
#include "tests/support/tensors.h"

namespace sae::testing {

inline constexpr int64_t synthetic_width = 16, synthetic_context = 8;

/// A split of a small store, FOLDER/SPLIT: sparse mixtures of 40 hidden directions plus a constant offset, with a sink
/// at position 0 of every context.
inline void write_synthetic_split(const std::string& folder, const std::string& split, int64_t contexts,
                                  uint64_t seed) {
  constexpr int64_t width = synthetic_width, context = synthetic_context;
  const auto device = Device::open(DeviceKind::cpu);
  const Tensor hidden = random_tensor(*device, {40, width}, Dtype::f32, 1);
  ActivationWriter writer(folder + "/" + split,
                          {.model = "Test model",
                           .layer = 3,
                           .site = "resid_post",
                           .split = split,
                           .width = width,
                           .context_length = context},
                          IfStoreExists::refuse);
  for (int64_t c = 0; c < contexts; ++c) {
    const Philox random(seed, static_cast<uint64_t>(c));
    std::vector<float> rows(static_cast<size_t>(context * width), 1.0f);
    std::vector<int32_t> tokens(context);
    std::vector<uint16_t> positions(context);
    std::vector<int32_t> documents(context, static_cast<int32_t>(c));
    for (int64_t p = 0; p < context; ++p) {
      const auto at = static_cast<size_t>(p);
      positions[at] = static_cast<uint16_t>(p);
      tokens[at] = static_cast<int32_t>(random.word(static_cast<uint64_t>(p)) % 100);
      for (uint64_t j = 0; j < 3; ++j) {
        const uint64_t draw = 100 + static_cast<uint64_t>(p) * 8 + j;
        const auto feature = static_cast<int64_t>(random.below(draw, 40));
        const float strength = 2 + static_cast<float>(std::abs(random.normal(draw)));
        for (int64_t i = 0; i < width; ++i) {
          rows[at * width + static_cast<size_t>(i)] += strength * hidden.data<float>()[feature * width + i];
        }
      }
      if (p == 0) rows[4] = 30000;
    }
    writer.append(rows, tokens, positions, documents);
  }
  writer.finish();
}

/// All three splits, of 400, 60 and 60 contexts.
inline void write_synthetic_store(const std::string& folder) {
  write_synthetic_split(folder, "train", 400, 1);
  write_synthetic_split(folder, "validation", 60, 2);
  write_synthetic_split(folder, "test", 60, 3);
}

}  // namespace sae::testing
