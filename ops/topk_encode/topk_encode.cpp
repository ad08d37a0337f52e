#include "ops/topk_encode/topk_encode.h"

#include <fmt/format.h>

#include <numeric>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "ops/matmul/matmul.h"
#include "ops/topk_encode/encode_rows.h"
#include "ops/topk_encode/topk_encode_device.h"

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

void refuse_row(int64_t row) {
  throw NotFinite(
      fmt::format("topk_encode: row {} holds a NaN or an infinity; lower the learning rate or look at the data", row));
}

namespace {

/// Would packing the encoder cost more than the scores? It reads the encoder twice and writes half of it.
bool too_few_to_pack(int64_t rows, const EncodeOptions& options) {
  return rows <= 4 && options.panels == nullptr && options.scoring == Scoring::exact && !options.screen_in_float32;
}

template <class T>
void encode_on_cpu(const EncodeTask<T>& task, const Tensor& x, const Tensor& encoder, const EncodeOptions& options) {
  if constexpr (std::is_same_v<T, float>) {
    if (!too_few_to_pack(task.rows, options)) return cpu::encode_screened(task, x, encoder, options);
  }
  std::vector<int64_t> all(static_cast<size_t>(task.rows));
  std::iota(all.begin(), all.end(), 0);
  cpu::encode_exactly(task, all);
  if (options.counts != nullptr) options.counts->rows += task.rows;
}

/// Screens by products of the matrices as they are.
void encode_in_float32(Device& device, const EncodeTask<float>& task, bool exact, EncodeWords* words) {
  Writable norms = Tensor::empty(device, {2, task.latents}, Dtype::f32);
  float* const of_rows = norms.data<float>();
  SIMT_CALL(device.kind(), screen_matrix<float>, device.stream(), task.encoder, task.latents, task.width, nullptr,
            of_rows, of_rows + task.latents);
  const ScreenedMatrix<float> encoder = {task.encoder, of_rows, of_rows + task.latents};
  SIMT_CALL(device.kind(), encode_screened<float>, device, task, encoder, exact, words);
}

void encode_on_device(const EncodeTask<float>& task, const Tensor& encoder, const EncodeOptions& options,
                      EncodeWords* words) {
  Device& device = encoder.device();
  const bool exact = options.scoring == Scoring::exact;
  if (options.scoring == Scoring::f32 || options.screen_in_float32) {
    return encode_in_float32(device, task, exact, words);
  }
  EncoderPanels own;
  if (options.panels == nullptr) own = EncoderPanels::pack(encoder);
  const EncoderPanels& packed = options.panels != nullptr ? *options.panels : own;
  SIMT_CALL(device.kind(), encode_screened<bfloat16>, device, task, packed.on_device(), exact, words);
}

void encode_on_device(const EncodeTask<double>& task, const Tensor& encoder, const EncodeOptions&, EncodeWords* words) {
  SIMT_CALL(encoder.device().kind(), encode_whole<double>, encoder.device(), task, words);
}

/// Makes the result, and calls encode(task) to fill it.
template <class T, class Encode>
RowSparse encoded(const Tensor& x, const Tensor& encoder, const Tensor& bias, int64_t k, Encode&& encode) {
  Writable columns = Tensor::empty(x.device(), {x.rows(), k}, Dtype::i32);
  Writable values = Tensor::empty(x.device(), {x.rows(), k}, x.dtype());
  encode(EncodeTask<T>{.x = x.data<T>(),
                       .encoder = encoder.data<T>(),
                       .bias = bias.data<T>(),
                       .rows = x.rows(),
                       .width = x.cols(),
                       .latents = encoder.rows(),
                       .k = k,
                       .columns = columns.data<int32_t>(),
                       .values = values.data<T>()});
  return {Columns(std::move(columns).freeze()), std::move(values).freeze(), encoder.rows()};
}

/// Waits for what the device found.
RowSparse encode_and_check(const Tensor& x, const Tensor& encoder, const Tensor& bias, int64_t k,
                           const EncodeOptions& options) {
  Device& device = encoder.device();
  EncodeWords found;
  const auto words = device.allocate(sizeof found);
  device.copy_from_host(words->data(), &found, sizeof found);
  RowSparse y = on_device::topk_encode(x, encoder, bias, k, options, static_cast<EncodeWords*>(words->data()));
  device.copy_to_host(&found, words->data(), sizeof found);
  if (found.first_bad != EncodeWords{}.first_bad) refuse_row(found.first_bad);
  if (options.counts != nullptr) {
    options.counts->rows += x.rows();
    options.counts->rescored += found.rescored;
    options.counts->exact_rows += found.whole_rows;
  }
  return y;
}

RowSparse choose_rows(const Tensor& x, const Tensor& encoder, const Tensor& bias, int64_t k,
                      const EncodeOptions& options) {
  switch (x.device().kind()) {
    case DeviceKind::cpu:
      return visit_real("topk_encode", x.dtype(), [&](auto zero) {
        return encoded<decltype(zero)>(x, encoder, bias, k,
                                       [&](const auto& task) { encode_on_cpu(task, x, encoder, options); });
      });
    case DeviceKind::simt:
    case DeviceKind::cuda:
      return encode_and_check(x, encoder, bias, k, options);
  }
  refuse_device("topk_encode", x.device().kind());
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

RowSparse on_device::topk_encode(const Tensor& x, const Tensor& encoder, const Tensor& bias, int64_t k,
                                 const EncodeOptions& options, EncodeWords* words) {
  return visit_real("topk_encode", x.dtype(), [&](auto zero) {
    return encoded<decltype(zero)>(x, encoder, bias, k,
                                   [&](const auto& task) { encode_on_device(task, encoder, options, words); });
  });
}

Variable topk_encode(const Variable& x, const Variable& encoder, const Variable& bias, int64_t k,
                     const EncodeOptions& options) {
  const Tensor& rows = require_dense("topk_encode", x.value);
  const Tensor& e = require_dense("topk_encode", encoder.value);
  const Tensor& b = require_dense("topk_encode", bias.value);
  CHECK(
      e.cols() == rows.cols() && b.elements() == e.rows() && e.dtype() == rows.dtype() && b.dtype() == rows.dtype(),
      "topk_encode: rows {}, encoder {}, bias {}; expected [rows, width], [latents, width] and [latents] of one dtype",
      rows.describe(), e.describe(), b.describe());
  require_same_device("topk_encode", {&rows, &e, &b});
  CHECK(1 <= k && k <= e.rows(), "topk_encode: expected 1 <= k <= {} latents, got k = {}", e.rows(), k);
  CHECK(options.panels == nullptr || (options.panels->latents() == e.rows() && options.panels->width() == e.cols()),
        "topk_encode: panels of a [{}, {}] encoder, got {}", options.panels->latents(), options.panels->width(),
        e.describe());
  RowSparse y = choose_rows(rows, e, b, k, options);
  Tape* tape = tape_of({&x, &encoder, &bias});
  if (tape == nullptr) return Value(y);
  auto node = std::make_unique<TopkEncodeNode>(y.columns);
  node->x = rows;
  node->encoder = e;
  return tape->record(std::move(y), std::move(node), {&x, &encoder, &bias});
}

}  // namespace sae
