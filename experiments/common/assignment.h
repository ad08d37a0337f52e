#pragma once

#include <cstdint>
#include <vector>

namespace sae {

/// The one-to-one assignment of rows to columns with the largest total score (the Hungarian method, Kuhn 1955; Jonker
/// and Volgenant's form): for each row its column. score: [rows][columns] row-major, rows <= columns, finite. Cost:
/// rows^2 columns.
std::vector<int64_t> best_assignment(const std::vector<double>& score, int64_t rows, int64_t columns);

}  // namespace sae
