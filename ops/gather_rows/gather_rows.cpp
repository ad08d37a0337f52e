#include "ops/gather_rows/gather_rows.h"

#include <cstring>

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {
namespace {

/// The rows of a table: of a vector, its elements.
struct Table {
  int64_t rows, width;
  explicit Table(const Tensor& t)
      : rows(t.shape().rank() == 1 ? t.elements() : t.rows()), width(t.shape().rank() == 1 ? 1 : t.cols()) {}
};

template <class Index>
void gather(const Tensor& table, const Index* index, int64_t count, Writable& y) {
  const auto [rows, width] = Table(table);
  const auto* from = static_cast<const char*>(table.raw());
  auto* to = static_cast<char*>(y.raw());
  const int64_t bytes = width * size_of(table.dtype());
  parallel_for(count, grain_for(width), [&, rows = rows](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto at = static_cast<int64_t>(index[r]);
      CHECK(0 <= at && at < rows, "gather_rows: index {} at place {} of a table of {} rows", at, r, rows);
      std::memcpy(to + r * bytes, from + at * bytes, static_cast<size_t>(bytes));
    }
  });
}

struct GatherRowsNode final : Node {
  Tensor index;
  int64_t table_rows = 0, width = 0;

  std::string_view name() const override { return "gather_rows"; }
  int64_t bytes_saved() const override { return index.bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    const Tensor& g = require_dense("gather_rows backward", gradient);
    to.add(0, RowsGradient{index, g.with_shape({index.elements(), width}), table_rows});
  }
};

}  // namespace

Variable gather_rows(const Variable& table, const Tensor& index) {
  const Tensor& rows = require_dense("gather_rows", table.value);
  CHECK(rows.dtype() == Dtype::f32 || rows.dtype() == Dtype::f64 || rows.dtype() == Dtype::bf16,
        "gather_rows: expected a table of f32, f64 or bf16, got {}", rows.describe());
  CHECK(index.dtype() == Dtype::i32 || index.dtype() == Dtype::u16, "gather_rows: expected i32 or u16 indices, got {}",
        index.describe());
  if (rows.device().kind() != DeviceKind::cpu) refuse_device("gather_rows", rows.device().kind());
  const Shape shape = rows.shape().rank() == 1 ? Shape{index.elements()} : Shape{index.elements(), rows.cols()};
  Writable out = Tensor::empty(rows.device(), shape, rows.dtype());
  if (index.dtype() == Dtype::u16) {
    gather(rows, index.data<uint16_t>(), index.elements(), out);
  } else {
    gather(rows, index.data<int32_t>(), index.elements(), out);
  }
  Tensor y = std::move(out).freeze();
  if (table.tape == nullptr) return y;
  CHECK(index.dtype() == Dtype::i32 && rows.dtype() != Dtype::bf16,
        "gather_rows: {} at {} has no backward; expected an f32 or f64 table and i32 indices", rows.describe(),
        index.describe());
  auto node = std::make_unique<GatherRowsNode>();
  node->index = index;
  node->table_rows = Table(rows).rows;
  node->width = Table(rows).width;
  return table.tape->record(std::move(y), std::move(node), {&table});
}

}  // namespace sae
