#pragma once

#include "engine/tape.h"

namespace sae {

/// y[r] = table[index[r]]: how tokens become vectors, and how a few rows of a matrix become a small one.
///   table [n, width] f32, f64 or bf16, or [n], a row of which is one element; index [rows] i32 or u16;
///   y [rows, width] (or [rows]) of the table's dtype.
/// Backward, with g the gradient of y: the table's gradient is g at the listed rows (a RowsGradient; a row that is
/// listed twice adds). Only f32 and f64 tables with i32 indices can be recorded.
/// Throws, naming place and value, on an index outside [0, n).
Variable gather_rows(const Variable& table, const Tensor& index);

}  // namespace sae
