#include "ops/gather_rows/gather_rows.h"

#include <cstring>

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"

namespace sae {
namespace {

template <class Index>
void gather(const Tensor& table, const Index* index, int64_t count, Writable& y) {
  const auto* from = static_cast<const char*>(table.raw());
  auto* to = static_cast<char*>(y.raw());
  const int64_t bytes = table.cols() * size_of(table.dtype());
  parallel_for(count, grain_for(table.cols()), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto at = static_cast<int64_t>(index[r]);
      CHECK(0 <= at && at < table.rows(), "gather_rows: index {} at place {} of a table of {} rows", at, r,
            table.rows());
      std::memcpy(to + r * bytes, from + at * bytes, static_cast<size_t>(bytes));
    }
  });
}

}  // namespace

Tensor gather_rows(const Variable& table, const Tensor& index) {
  const Tensor& rows = require_constant("gather_rows", table);
  CHECK(rows.dtype() == Dtype::f32 || rows.dtype() == Dtype::f64 || rows.dtype() == Dtype::bf16,
        "gather_rows: expected a table of f32, f64 or bf16, got {}", rows.describe());
  CHECK(index.dtype() == Dtype::i32 || index.dtype() == Dtype::u16, "gather_rows: expected i32 or u16 indices, got {}",
        index.describe());
  if (rows.device().kind() != DeviceKind::cpu) refuse_device("gather_rows", rows.device().kind());
  Writable y = Tensor::empty(rows.device(), {index.elements(), rows.cols()}, rows.dtype());
  if (index.dtype() == Dtype::u16) {
    gather(rows, index.data<uint16_t>(), index.elements(), y);
  } else {
    gather(rows, index.data<int32_t>(), index.elements(), y);
  }
  return std::move(y).freeze();
}

}  // namespace sae
