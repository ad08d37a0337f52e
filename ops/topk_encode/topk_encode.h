#pragma once

#include "engine/tape.h"
#include "ops/topk_encode/encoder_panels.h"

namespace sae {

/// How the scores of topk_encode are computed; all accumulate in float32.
///   exact: screened in bfloat16, then the candidates again in float32: the set and the values are float32's.
///   bf16:  set and values are those of the product of the factors rounded to bfloat16.
///   f32:   the float32 product of the library decides; its order of summation is not ours.
enum class Scoring { exact, bf16, f32 };

std::string_view name_of(Scoring scoring);

/// What a call saw, added to what is there.
struct EncodeCounts {
  int64_t rows = 0;
  int64_t rescored = 0;    ///< scores computed in float32 after screening
  int64_t exact_rows = 0;  ///< rows whose candidates did not fit: all their scores were computed in float32
  double rescored_per_row() const { return rows == 0 ? 0 : static_cast<double>(rescored) / static_cast<double>(rows); }
};

struct EncodeOptions {
  Scoring scoring = Scoring::exact;
  /// The encoder, packed; packed by the call where this is null. Must hold the encoder's present values.
  const EncoderPanels* panels = nullptr;
  EncodeCounts* counts = nullptr;
  /// Screen by float32 products though the processor has bfloat16 ones: the path of all others, for tests.
  bool screen_in_float32 = false;
};

/// y = topk(x E^T + b, k), without the [rows, latents] matrix between (Gao et al., eq. 2 before the ReLU).
///   x [rows, width], E [latents, width], b [latents] -> row-sparse [rows, latents], k entries a row, columns
///   ascending.
/// The score of row i and latent j is dot(x_i, E_j) + b_j with the dot product of engine/row_kernels.h: one order of
/// summation on every processor and device. With exact scoring the result is the k best of these scores, ties to the
/// lower latent, with these values, bit for bit, for any tiling and number of threads.
///
/// How: a tile of scores is computed in bfloat16 and compared, while in registers (simt and cuda: in the second-level
/// cache), with the row's threshold, a lower bound of its k-th best score. For x = x' + dx and E = E' + dE, rounded and
/// residual parts,
///   |x . E_j - x' . E'_j| <= |dx| |E'_j| + |x| |dE_j|   (Cauchy-Schwarz),
/// and with the rounding of the sums this puts each score into an interval. A latent is dropped only when its interval
/// lies below the k-th best lower end of others, so the candidates contain the answer; they are scored again in
/// float32. A row with too many candidates (equal latents, huge norms) is computed in float32 whole, and counted.
///
/// Backward, with g the gradient of y, row-sparse over its columns:
///   dE = g^T x, deferred;  db = column sum of g;  dx = g E, or where that suffices column_sum(g) E.
/// f64 computes every score. Throws on shapes that do not fit, and NotFinite where a row's scores are not finite.
/// Cost: 2 rows latents width operations in bfloat16, about 1.3 k width a row in float32; memory 3 k a row.
Variable topk_encode(const Variable& x, const Variable& encoder, const Variable& bias, int64_t k,
                     const EncodeOptions& options = {});

}  // namespace sae
