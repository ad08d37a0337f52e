#pragma once

// What the screening of topk_encode counts by, on every device. No templates of the standard library: kernels of one
// instruction set read it (engine/simd.h).

#include <cstdint>

namespace sae {

/// Norms are computed in float32 and then enlarged by this, so that they bound the true ones.
constexpr float norm_margin = 1.001f;

/// Latents whose scores are bounded together.
constexpr int64_t panel_width = 64;

/// What bounds the error of a panel's scores, and its bias.
struct PanelBounds {
  float rounded_norm = 0;   // the largest of its latents
  float residual_norm = 0;  // the largest of its latents
  float bias_error = 0;     // of adding the bias
};

/// Below every float: keeps all latents, but not those that fill up the last panel, whose bias is -infinity.
constexpr float no_threshold = -3.4028234e38f;

/// Rounding of a sum of `width` products in any order, and of our own dot product, relative to |x| |E_j|; and of adding
/// the bias, relative to it. Twice and more what the standard analysis gives, which leaves room for the truncation in
/// place of rounding of GPUs' tensor cores.
constexpr float sum_error(int64_t width) { return static_cast<float>(width + 8) * 0x1p-23f; }
constexpr float dot_error(int64_t width) { return static_cast<float>(width / 16 + 32) * 0x1p-24f; }
constexpr float bias_error = 0x1p-22f;

/// Where |x| |E_j| + |b_j| may reach this, sums might overflow: such rows are computed exactly, which checks.
constexpr float safe_score = 1e37f;

}  // namespace sae
