#pragma once

#include "engine/tape.h"

namespace sae {

/// The k largest entries of each row (Gao et al., eq. 2: the largest signed values; what follows decides what to do
/// with negative ones).
///   x dense [rows, cols] -> row-sparse [rows, cols], exactly k entries in each row, columns ascending.
/// Ties go to the lower column, so the chosen set is unique: it does not depend on tiling, threads or instruction set.
/// Backward: the gradient is row-sparse over the same Columns and passes through unchanged; a column that was not
/// chosen receives none.
/// Throws unless 1 <= k <= the number of columns, and on a NaN or an infinity in x, naming the row.
Variable topk(const Variable& x, int64_t k);

/// The same choice with a dense result [rows, cols]: what is not among the k largest of its row becomes 0. For matrices
/// so narrow that dense products of them are the faster ones. Backward: g where the entry was kept, else 0, g dense.
Variable keep_topk(const Variable& x, int64_t k);

}  // namespace sae
