#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "engine/layout.h"

namespace sae {

/// The matrix sparse^T dense, [sparse.cols, dense.cols], not multiplied out: the gradient of a weight [latents, width]
/// under a sparse product. `dense` is [rows, width].
struct DeferredProduct {
  Value sparse;  // RowSparse or CompressedRows
  Tensor dense;
};

/// A [total_rows, width] matrix that is zero but for a few rows; a row may be listed twice and then adds.
struct RowsGradient {
  Tensor rows;    // i32 [listed]
  Tensor values;  // [listed, width]
  int64_t total_rows = 0;
};

/// The listed rows as a pattern with one entry in each: with weights 1, their sum is a deferred product.
inline RowSparse one_entry_each(const RowsGradient& rows) {
  return {Columns(rows.rows.with_shape({rows.rows.elements(), 1})), rows.values, rows.total_rows};
}

using GradientTerm = std::variant<Tensor, DeferredProduct, RowsGradient>;

/// The gradient of a parameter: the sum of its terms, in the order in which they arrived.
class Gradient {
 public:
  void add(GradientTerm term) { terms_.push_back(std::move(term)); }
  void clear() { terms_.clear(); }
  bool empty() const { return terms_.empty(); }
  const std::vector<GradientTerm>& terms() const { return terms_; }

 private:
  std::vector<GradientTerm> terms_;
};

/// How often a sparse value was written out as a dense matrix. A TopK training step asserts that it stays 0.
struct DensifyCount {
  int64_t count = 0;
};

/// The sum of two values of one shape. Equal patterns add entry by entry; two row-sparse values of different patterns,
/// or two compressed ones, are put side by side (a column may then repeat in a row, which is sound for a gradient,
/// because every backward is linear in the gradient it receives); any other mixture is densified and counted.
Value add(const Value& a, const Value& b, DensifyCount& densified);

/// The dense matrix of a value. Counted unless it was dense.
Tensor densify(const Value& value, DensifyCount& densified);

/// The elements of a dense matrix at the stored places of a sparse pattern, in the shape of its values.
Tensor elements_at(const Tensor& dense, const Value& pattern);

/// Adds up the terms of a gradient of the given shape as one dense tensor: for checks, clipping and small models.
/// Entries of one row of the result are summed in the order of the batch's rows, so the result does not depend on the
/// number of threads.
Tensor materialize(const Gradient& gradient, Device& device, Shape shape, Dtype dtype);
Tensor materialize(const DeferredProduct& product);

/// The [1, cols] sum over the rows of a value, in row order, accumulated in double.
Tensor column_sum(const Value& value);

/// The stored entries of a sparse pattern, grouped by column: entry e of column c, for e in
/// [offsets[c], offsets[c + 1]), stands in row rows[e] and at position entries[e] of the value array. Within a column,
/// rows ascend (a stable counting sort), so that sums over a group have one fixed order.
struct ColumnGroups {
  std::vector<int64_t> offsets;  // [cols + 1]
  std::vector<int32_t> rows;     // [stored]
  std::vector<int64_t> entries;  // [stored]
};
/// Sorted at the first call, and kept with the pattern: all values of that pattern get the same groups.
std::shared_ptr<const ColumnGroups> group_by_column(const Value& sparse);

}  // namespace sae
