#pragma once

#include "engine/tape.h"

namespace sae {

/// The k * rows largest entries of the whole batch (Bussmann et al. 2024, "BatchTopK sparse autoencoders"): k a row on
/// average, more where a row needs more. Signed values, like topk: what follows decides what to do with negative ones.
///   x dense [rows, cols] -> compressed rows with exactly k * rows stored entries, columns ascending.
/// Ties go to the lower row, then to the lower column, so the chosen set is unique: it does not depend on the number of
/// threads.
/// Backward: the gradient is over the same pattern and passes through unchanged.
/// Cost: four reads of x, and a selection among the few entries whose leading bits are those of the last one chosen.
/// Throws unless 1 <= k <= cols, and on a NaN or an infinity in x, naming the row.
Variable batch_topk(const Variable& x, int64_t k);

}  // namespace sae
