#pragma once

#include "engine/tape.h"

namespace sae {

/// y[r] = table[index[r]]: how tokens become vectors.
///   table [n, width] f32, f64 or bf16; index [rows] i32 or u16; y [rows, width] of the table's dtype.
/// Throws, naming place and value, on an index outside [0, n). Forward only: an input on a tape is refused.
Tensor gather_rows(const Variable& table, const Tensor& index);

}  // namespace sae
