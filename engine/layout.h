#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "engine/tensor.h"

namespace sae {

/// A sparse pattern sorted by column: made when it is first asked for (group_by_column in engine/gradient.h), then
/// shared by everything of that pattern, since the gradients of several weights and biases need one sort.
struct GroupsOnDemand;
std::shared_ptr<GroupsOnDemand> groups_on_demand();

/// Which k columns each row keeps: an i32 tensor [rows, k]. Values and gradients share one Columns; sharing is by
/// memory, so that "the same pattern" is one comparison.
class Columns {
 public:
  explicit Columns(Tensor index) : index_(std::move(index)), groups_(groups_on_demand()) {}
  int64_t rows() const { return index_.rows(); }
  int64_t k() const { return index_.cols(); }
  const Tensor& index() const { return index_; }
  const std::shared_ptr<GroupsOnDemand>& groups() const { return groups_; }
  friend bool operator==(const Columns& a, const Columns& b) { return a.index_.same_memory(b.index_); }

 private:
  Tensor index_;
  std::shared_ptr<GroupsOnDemand> groups_;
};

/// A [rows, cols] matrix with exactly k stored entries in each row; values is [rows, k]. A stored value may be 0, and
/// in a gradient a column may repeat within a row: its entries add.
struct RowSparse {
  Columns columns;
  Tensor values;
  int64_t cols = 0;
};

/// A [rows, cols] matrix with a varying number of stored entries in each row (CSR): offsets i64 [rows + 1],
/// index i32 [stored], values [stored], columns ascending within a row (in a gradient they may repeat, in any order).
struct CompressedRows {
  Tensor offsets;
  Tensor index;
  Tensor values;
  int64_t cols = 0;
  std::shared_ptr<GroupsOnDemand> groups = groups_on_demand();
  int64_t rows() const { return offsets.elements() - 1; }
  int64_t stored() const { return values.elements(); }
};

/// What flows along the tape: the closed set of layouts of a matrix. Adding one breaks each std::visit at compile
/// time, which lists the work.
using Value = std::variant<Tensor, RowSparse, CompressedRows>;

template <class... F>
struct overloaded : F... {
  using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

int64_t rows_of(const Value& value);
int64_t cols_of(const Value& value);
Dtype dtype_of(const Value& value);
Device& device_of(const Value& value);
/// Bytes of the memory the value refers to.
int64_t bytes_of(const Value& value);
/// "dense", "row-sparse", "compressed rows"
std::string_view layout_of(const Value& value);
/// "row-sparse f32 [1024, 4096] k 32"
std::string describe(const Value& value);

/// The tensor of a value's elements: the matrix itself, or the stored entries of a sparse layout.
const Tensor& stored_values(const Value& value);
/// The layout and pattern of `pattern` over other elements.
Value with_stored_values(const Value& pattern, Tensor values);
/// The value in memory of that device: itself if it lies there, else a copy with a pattern of its own.
Value to_device(const Value& value, Device& device);
/// Do both have one layout and, if it is sparse, one pattern in one memory?
bool same_pattern(const Value& a, const Value& b);

/// Either sparse layout as a kernel sees it, on any device: row r has the entries [begin(r), end(r)).
struct SparseRows {
  const int64_t* offsets = nullptr;  // [rows + 1], or null: `k` in each row
  const int32_t* index = nullptr;    // [stored]
  int64_t rows = 0;
  int64_t k = 0;
  constexpr int64_t begin(int64_t row) const { return offsets != nullptr ? offsets[row] : row * k; }
  constexpr int64_t end(int64_t row) const { return offsets != nullptr ? offsets[row + 1] : (row + 1) * k; }
  int64_t stored() const { return rows == 0 ? 0 : end(rows - 1); }
};
/// Throws, naming the op, for a dense value. The arrays are in the memory of the value's device.
SparseRows sparse_rows(std::string_view op, const Value& value);

/// The column of each stored entry of any layout, as a kernel sees it: of a dense matrix every element is stored.
struct EntryColumns {
  const int32_t* index = nullptr;  // [stored], or null: dense
  int64_t cols = 0;
  constexpr int64_t of(int64_t entry) const { return index != nullptr ? index[entry] : entry % cols; }
};
EntryColumns entry_columns(const Value& value);

/// The dense tensor of a value; throws, naming the op, for another layout.
const Tensor& require_dense(std::string_view op, const Value& value);

}  // namespace sae
