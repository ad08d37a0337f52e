#include "ops/batch_topk/batch_topk.h"

#include <fmt/format.h>

#include <limits>

#include "engine/compress_rows.h"
#include "engine/error.h"
#include "engine/not_finite.h"
#include "ops/batch_topk/batch_topk_cpu.h"
#include "ops/batch_topk/batch_topk_cuda.h"

namespace sae {
namespace {

void check_finite(int64_t bad_row) {
  if (bad_row < 0) return;
  throw NotFinite(fmt::format(
      "batch_topk: row {} holds a NaN or an infinity; lower the learning rate or look at the data", bad_row));
}

template <class T>
CompressedRows choose_on_cpu(const Tensor& x, int64_t wanted) {
  const cpu::Cut<T> cut = cpu::cut_of_largest(x.data<T>(), x.elements(), wanted);
  const int64_t cols = x.cols();
  check_finite(cut.not_finite < 0 ? -1 : cut.not_finite / cols);
  return compress_rows<T>(x, [&](int64_t row, int64_t col, T value) {
    return (value > cut.value) | ((value == cut.value) & (row * cols + col <= cut.last_tie));
  });
}

CompressedRows choose_largest(const Tensor& x, int64_t k) {
  Device& device = x.device();
  return visit_real("batch_topk", x.dtype(), [&](auto zero) -> CompressedRows {
    using T = decltype(zero);
    if (x.rows() == 0) {
      return {Tensor::zeros(device, {1}, Dtype::i64), Tensor::zeros(device, {0}, Dtype::i32),
              Tensor::zeros(device, {0}, x.dtype()), x.cols()};
    }
    switch (device.kind()) {
      case DeviceKind::cpu:
        return choose_on_cpu<T>(x, k * x.rows());
      case DeviceKind::simt:
      case DeviceKind::cuda: {
        CHECK(x.elements() <= std::numeric_limits<int32_t>::max(), "batch_topk: {} has more elements than i32 counts",
              x.describe());
        int64_t bad_row = -1;
        CompressedRows y = SIMT_CALL(device.kind(), largest_of_batch<T>, x, k * x.rows(), bad_row);
        check_finite(bad_row);
        return y;
      }
    }
    refuse_device("batch_topk", device.kind());
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
  Value y = choose_largest(dense, k);
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<BatchTopkNode>();
  node->pattern = y;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
