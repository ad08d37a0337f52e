#include "ops/batch_topk/batch_topk.h"

#include <fmt/format.h>

#include <limits>

#include "engine/compress_rows.h"
#include "engine/error.h"
#include "engine/not_finite.h"
#include "ops/batch_topk/batch_topk_cpu.h"

namespace sae {
namespace {

template <class T>
CompressedRows choose_largest(const Tensor& x, int64_t k) {
  if (x.rows() == 0) return compress_rows<T>(x, [](int64_t, int64_t, T) { return false; });
  const cpu::Cut<T> cut = cpu::cut_of_largest(x.data<T>(), x.elements(), k * x.rows());
  if (cut.not_finite >= 0) {
    throw NotFinite(
        fmt::format("batch_topk: row {} holds a NaN or an infinity; lower the learning rate or look at the data",
                    cut.not_finite / x.cols()));
  }
  const int64_t cols = x.cols();
  return compress_rows<T>(x, [&](int64_t row, int64_t col, T value) {
    return (value > cut.value) | ((value == cut.value) & (row * cols + col <= cut.last_tie));
  });
}

struct BatchTopkNode final : Node {
  Value pattern;

  std::string_view name() const override { return "batch_topk"; }
  int64_t bytes_saved() const override { return bytes_of(pattern); }

  void backward(const Value& gradient, Gradients& to) override {
    CHECK(same_pattern(pattern, gradient), "batch_topk backward: {} has a gradient over the same stored places, got {}",
          describe(pattern), describe(gradient));
    to.add(0, gradient);
  }
};

}  // namespace

Variable batch_topk(const Variable& x, int64_t k) {
  const Tensor& dense = require_dense("batch_topk", x.value);
  CHECK(1 <= k && k <= dense.cols(), "batch_topk: expected 1 <= k <= {} columns, got k = {}", dense.cols(), k);
  CHECK(dense.cols() <= std::numeric_limits<int32_t>::max(), "batch_topk: {} has more columns than i32 counts",
        dense.describe());
  if (dense.device().kind() != DeviceKind::cpu) refuse_device("batch_topk", dense.device().kind());
  Value y = visit_real("batch_topk", dense.dtype(),
                       [&](auto zero) -> Value { return choose_largest<decltype(zero)>(dense, k); });
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<BatchTopkNode>();
  node->pattern = y;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
