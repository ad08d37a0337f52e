#include "experiments/common/assignment.h"

#include <limits>

#include "engine/error.h"

namespace sae {

// Rows are added one at a time. A row's place is found by a shortest path over reduced costs from it to a free column;
// the potentials keep all reduced costs at 0 or more, and those on the assignment at 0. Index 0 stands for "none".
std::vector<int64_t> best_assignment(const std::vector<double>& score, int64_t rows, int64_t columns) {
  CHECK(0 <= rows && rows <= columns && static_cast<int64_t>(score.size()) == rows * columns,
        "assignment: {} scores for {} rows and {} columns, expected no more rows than columns", score.size(), rows,
        columns);
  const auto n = static_cast<size_t>(rows), m = static_cast<size_t>(columns);
  const auto cost = [&](size_t row, size_t column) { return -score[(row - 1) * m + column - 1]; };
  std::vector<double> row_potential(n + 1, 0.0), column_potential(m + 1, 0.0);
  std::vector<size_t> row_of(m + 1, 0), before(m + 1, 0);
  for (size_t row = 1; row <= n; ++row) {
    row_of[0] = row;
    size_t at = 0;
    std::vector<double> distance(m + 1, std::numeric_limits<double>::infinity());
    std::vector<char> reached(m + 1, 0);
    while (row_of[at] != 0) {
      reached[at] = 1;
      const size_t from = row_of[at];
      double step = std::numeric_limits<double>::infinity();
      size_t nearest = 0;
      for (size_t column = 1; column <= m; ++column) {
        if (reached[column]) continue;
        const double reduced = cost(from, column) - row_potential[from] - column_potential[column];
        if (reduced < distance[column]) {
          distance[column] = reduced;
          before[column] = at;
        }
        if (distance[column] < step) {
          step = distance[column];
          nearest = column;
        }
      }
      CHECK(nearest != 0, "assignment: the scores of row {} are not finite", from - 1);
      for (size_t column = 0; column <= m; ++column) {
        if (reached[column]) {
          row_potential[row_of[column]] += step;
          column_potential[column] -= step;
        } else {
          distance[column] -= step;
        }
      }
      at = nearest;
    }
    for (; at != 0; at = before[at]) row_of[at] = row_of[before[at]];
  }
  std::vector<int64_t> column_of(n, -1);
  for (size_t column = 1; column <= m; ++column) {
    if (row_of[column] != 0) column_of[row_of[column] - 1] = static_cast<int64_t>(column) - 1;
  }
  return column_of;
}

}  // namespace sae
