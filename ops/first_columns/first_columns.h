#pragma once

#include "engine/tape.h"

namespace sae {

/// y = x in the first `count` columns, 0 in the others, in the layout and pattern of x: what a nested dictionary of
/// that size sees of the latents (Bussmann et al. 2025, Matryoshka). The pattern is kept, with zeros stored in it, so
/// that the gradients of several prefixes of one x add entry by entry; the sparse product skips zeros.
/// Backward, with g the gradient of y (x sparse: over x's pattern; x dense: in any layout): dx = g in those columns,
/// else 0, in the layout and pattern of g. Cost: one read and one write of the stored elements. Throws unless 0 <=
/// count <= columns.
Variable first_columns(const Variable& x, int64_t count);

}  // namespace sae
