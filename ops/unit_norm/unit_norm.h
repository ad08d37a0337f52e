#pragma once

#include "engine/parameter.h"

namespace sae {

// Keeps the rows of a matrix at length 1 while it is trained (a decoder's directions; Gao et al. 2024). Neither
// function is recorded on a tape: they belong to the optimiser's step. For one row at a time see row_projection.h.

/// Scales each row of the parameter [rows, width] (f32 or f64) to length 1, in place. Rows of zeros stay zero. Throws
/// on a row whose length is not finite, before anything is changed.
void normalise_rows(Parameter& parameter);

/// gradient - (gradient . row) row for each row: the part of a dense gradient [rows, width] that is orthogonal to the
/// parameter's rows, which have length 1. Moving along the rest would only change a length that is restored anyway.
Tensor remove_parallel_component(const Tensor& gradient, const Tensor& unit_rows);

}  // namespace sae
