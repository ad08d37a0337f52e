#include "ops/gather_rows/gather_rows.h"

#include <cstring>

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/gather_rows/gather_rows_cuda.h"

namespace sae {
namespace {

/// The rows of a table: of a vector, its elements.
struct Table {
  int64_t rows, width;
  explicit Table(const Tensor& t)
      : rows(t.shape().rank() == 1 ? t.elements() : t.rows()), width(t.shape().rank() == 1 ? 1 : t.cols()) {}
};

[[noreturn]] void refuse_index(int64_t at, int64_t place, int64_t rows) {
  fail("gather_rows: index {} at place {} of a table of {} rows", at, place, rows);
}

template <class Index>
void gather_on_cpu(const Tensor& table, const Tensor& places, Writable& y) {
  const auto [rows, width] = Table(table);
  const auto* from = static_cast<const char*>(table.raw());
  const Index* index = places.data<Index>();
  auto* to = static_cast<char*>(y.raw());
  const int64_t bytes = width * size_of(table.dtype());
  parallel_for(places.elements(), grain_for(width), [&, rows = rows](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto at = static_cast<int64_t>(index[r]);
      if (at < 0 || at >= rows) refuse_index(at, r, rows);
      std::memcpy(to + r * bytes, from + at * bytes, static_cast<size_t>(bytes));
    }
  });
}

template <class Element, class Index>
void gather_on_device(const Tensor& table, const Tensor& index, Writable& y) {
  const auto [rows, width] = Table(table);
  Device& device = table.device();
  const int64_t bad = SIMT_CALL(device.kind(), gather_rows, device, table.data<Element>(), rows, width,
                                index.data<Index>(), index.elements(), y.data<Element>());
  if (bad >= 0) refuse_index(static_cast<int64_t>(index.to_vector<Index>()[static_cast<size_t>(bad)]), bad, rows);
}

template <class Index>
void gather(const Tensor& table, const Tensor& index, Writable& y) {
  switch (table.device().kind()) {
    case DeviceKind::cpu:
      return gather_on_cpu<Index>(table, index, y);
    case DeviceKind::simt:
    case DeviceKind::cuda:
      if (table.dtype() == Dtype::bf16) return gather_on_device<bfloat16, Index>(table, index, y);
      return visit_real("gather_rows", table.dtype(),
                        [&](auto zero) { gather_on_device<decltype(zero), Index>(table, index, y); });
  }
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
  require_same_device("gather_rows", {&rows, &index});
  const Shape shape = rows.shape().rank() == 1 ? Shape{index.elements()} : Shape{index.elements(), rows.cols()};
  Writable out = Tensor::empty(rows.device(), shape, rows.dtype());
  if (index.dtype() == Dtype::u16) {
    gather<uint16_t>(rows, index, out);
  } else {
    gather<int32_t>(rows, index, out);
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
