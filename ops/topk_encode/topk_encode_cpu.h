#pragma once

// The kernels of topk_encode. This header is read by files that are compiled for one instruction set: no templates of
// the standard library in it (engine/simd.h says why).

#include <cstdint>

#include "engine/simd.h"
#include "ops/topk_encode/screening.h"

namespace sae::cpu {

/// Rows of x that meet a panel at once (24 sums in registers).
constexpr int64_t group_rows = 6;

/// The candidates of one row while the latents pass by. Each has an interval that holds its float32 score; `threshold`
/// is a lower bound of the row's k-th best score, so a latent whose upper bound is below it is out for good.
struct ScreenedRow {
  float* lower = nullptr;  // [capacity]
  float* upper = nullptr;
  int32_t* latent = nullptr;
  int64_t count = 0;
  float threshold = 0;
  // The error of a screened score is at most per_rounded * |rounded row of E| + per_residual * |its residual| + bias
  // term of the panel; both 0 where the screened scores are taken as they are.
  float per_rounded = 0;
  float per_residual = 0;
  bool overflowed = false;  // more candidates than fit: the row is computed again, exactly
};

struct ScreenSizes {
  int64_t k = 0;
  int64_t limit = 0;  // candidates at which a row is tightened
  int64_t pairs = 0;
  int64_t latents = 0;
};

// clang-format off
/// Raises the threshold to just below the k-th best lower bound, or to it, so that no more than k + slack reach it (if
/// a few halvings find such a one), and drops the candidates whose upper bounds do not. A row that still has more than
/// `limit` candidates is given up: marked as overflowed, its candidates dropped.
SIMD_DECLARE(void tighten(ScreenedRow* row, const ScreenSizes* sizes, int64_t slack))
/// Passes the scores, without bias, of one row against `panels` panels by its candidates. bias: [all panels * 64],
/// -infinity beyond the last latent; bounds: [all panels].
SIMD_DECLARE(void screen_scores(const float* scores, const float* bias, const PanelBounds* bounds, int64_t first_panel, int64_t panels, const ScreenSizes* sizes, ScreenedRow* row))
// clang-format on

#if defined(__x86_64__) || defined(_M_X64)
/// Rounds `count` <= 16 rows of E, f32 [count, width], to bfloat16 and writes them as the words of their latents in a
/// panel [pairs][64]; block points to the first of the 16 words. The norms are upper bounds.
void pack_block(const float* rows, int64_t count, int64_t width, uint32_t* block, float* rounded_norms,
                float* residual_norms);

/// Rounds a row of x to bfloat16 pairs with a stride of group_rows words. Upper bounds of the length of the row and of
/// what the rounding took away; not finite where the row is not, or nearly overflows.
void pack_row(const float* row, int64_t width, uint32_t* words, float* norm, float* residual_norm);

/// Scores `rows` rows of x, packed as [groups][pairs][6], against every panel, and keeps the candidates of each.
/// bias: [panels * 64], -infinity beyond the last latent. bounds: [panels].
void screen_rows(const uint32_t* x, int64_t rows, const uint32_t* panels, const float* bias, const PanelBounds* bounds,
                 const ScreenSizes& sizes, ScreenedRow* states);
#endif

}  // namespace sae::cpu
