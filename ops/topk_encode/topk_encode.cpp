#include "ops/topk_encode/topk_encode.h"

#include <numeric>

#include "engine/error.h"
#include "ops/matmul/matmul.h"
#include "ops/topk_encode/encode_rows.h"

namespace sae {

std::string_view name_of(Scoring scoring) {
  switch (scoring) {
    case Scoring::exact:
      return "exact";
    case Scoring::bf16:
      return "bf16";
    case Scoring::f32:
      return "f32";
  }
  fail("scoring: unknown value {}", static_cast<int>(scoring));
}

namespace {

template <class T>
RowSparse choose_rows(const Tensor& x, const Tensor& encoder, const Tensor& bias, int64_t k,
                      const EncodeOptions& options) {
  Writable columns = Tensor::empty(x.device(), {x.rows(), k}, Dtype::i32);
  Writable values = Tensor::empty(x.device(), {x.rows(), k}, x.dtype());
  const cpu::EncodeTask<T> task{.x = x.data<T>(),
                                .encoder = encoder.data<T>(),
                                .bias = bias.data<T>(),
                                .rows = x.rows(),
                                .width = x.cols(),
                                .latents = encoder.rows(),
                                .k = k,
                                .columns = columns.data<int32_t>(),
                                .values = values.data<T>()};
  if constexpr (std::is_same_v<T, float>) {
    cpu::encode_screened(task, x, encoder, options);
  } else {
    std::vector<int64_t> all(static_cast<size_t>(x.rows()));
    std::iota(all.begin(), all.end(), 0);
    cpu::encode_exactly(task, all);
  }
  return {Columns(std::move(columns).freeze()), std::move(values).freeze(), encoder.rows()};
}

struct TopkEncodeNode final : Node {
  Tensor x;        // [rows, width]
  Tensor encoder;  // [latents, width]
  Columns columns;

  explicit TopkEncodeNode(Columns chosen) : columns(std::move(chosen)) {}
  std::string_view name() const override { return "topk_encode"; }
  int64_t bytes_saved() const override { return x.bytes() + encoder.bytes() + columns.index().bytes(); }
  double flops() const override {
    return 2.0 * static_cast<double>(x.rows()) * static_cast<double>(encoder.elements());
  }

  void backward(const Value& gradient, Gradients& to) override {
    const auto* sparse = std::get_if<RowSparse>(&gradient);
    CHECK(sparse != nullptr && sparse->columns == columns,
          "topk_encode backward: the gradient of a row-sparse value must have its columns, got {}", describe(gradient));
    const bool row_suffices = to.column_sum_suffices(0);
    if (to.wanted(2) || row_suffices) {
      const Tensor sum = column_sum(gradient);
      if (to.wanted(2)) to.add(2, Value(sum));
      if (row_suffices) to.add(0, Value(dense_product(sum, false, encoder, false)));
    }
    if (to.wanted(0) && !row_suffices) to.add(0, Value(sparse_product(gradient, encoder)));
    if (to.wanted(1)) to.add(1, DeferredProduct{gradient, x});
  }
};

}  // namespace

Variable topk_encode(const Variable& x, const Variable& encoder, const Variable& bias, int64_t k,
                     const EncodeOptions& options) {
  const Tensor& rows = require_dense("topk_encode", x.value);
  const Tensor& e = require_dense("topk_encode", encoder.value);
  const Tensor& b = require_dense("topk_encode", bias.value);
  CHECK(
      e.cols() == rows.cols() && b.elements() == e.rows() && e.dtype() == rows.dtype() && b.dtype() == rows.dtype(),
      "topk_encode: rows {}, encoder {}, bias {}; expected [rows, width], [latents, width] and [latents] of one dtype",
      rows.describe(), e.describe(), b.describe());
  CHECK(1 <= k && k <= e.rows(), "topk_encode: expected 1 <= k <= {} latents, got k = {}", e.rows(), k);
  CHECK(options.panels == nullptr || (options.panels->latents() == e.rows() && options.panels->width() == e.cols()),
        "topk_encode: panels of a [{}, {}] encoder, got {}", options.panels->latents(), options.panels->width(),
        e.describe());
  if (rows.device().kind() != DeviceKind::cpu) refuse_device("topk_encode", rows.device().kind());
  RowSparse y = visit_real("topk_encode", rows.dtype(),
                           [&](auto zero) { return choose_rows<decltype(zero)>(rows, e, b, k, options); });
  Tape* tape = tape_of({&x, &encoder, &bias});
  if (tape == nullptr) return Value(y);
  auto node = std::make_unique<TopkEncodeNode>(y.columns);
  node->x = rows;
  node->encoder = e;
  return tape->record(std::move(y), std::move(node), {&x, &encoder, &bias});
}

}  // namespace sae
