// Everything that includes oneDNN: the dense product and the packed matrix.
#include "ops/matmul/dense_cpu.h"
#include "ops/matmul/packed_matrix.h"

#include "engine/error.h"
#include "engine/simd.h"

#ifdef SAE_ONEDNN
#include <dnnl.hpp>
#include <unordered_map>
#else
#include <algorithm>
#include <iterator>
#include <vector>
#endif

namespace sae {

namespace {

void check_parts(const Tensor& w, const Tensor& bias) {
  CHECK(w.dtype() == Dtype::f32 || w.dtype() == Dtype::bf16, "packed matrix: expected f32 or bf16 weights, got {}",
        w.describe());
  CHECK(!bias.defined() || (bias.dtype() == Dtype::f32 && bias.elements() == w.rows()),
        "packed matrix: a bias {} for weights {}; it is f32, one entry an output", bias.describe(), w.describe());
}

}  // namespace

#ifdef SAE_ONEDNN

namespace {

using dnnl::memory;

memory::data_type type_of(Dtype dtype) {
  CHECK(dtype == Dtype::f32 || dtype == Dtype::bf16, "matmul: expected f32 or bf16, got {}", name_of(dtype));
  return dtype == Dtype::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

Dtype product_dtype(Precision precision) {
  return precision == Precision::bf16 && has_bf16_products() ? Dtype::bf16 : Dtype::f32;
}

/// A library memory together with the device buffer that backs it, where it is not the caller's.
struct Operand {
  std::shared_ptr<Buffer> buffer;
  memory value;
};

/// `source` as it is if the product can read it so, else reordered (and rounded) into scratch of the device.
Operand arrange(Device& device, const dnnl::engine& engine, dnnl::stream& stream, const memory& source,
                const memory::desc& wanted) {
  if (source.get_desc() == wanted) return {nullptr, source};
  Operand operand;
  operand.buffer = device.allocate(wanted.get_size());
  operand.value = memory(wanted, engine, operand.buffer->data());
  dnnl::reorder(source, operand.value).execute(stream, const_cast<memory&>(source), operand.value);
  return operand;
}

memory wrap(const memory::desc& desc, const dnnl::engine& engine, const void* data) {
  return memory(desc, engine, const_cast<void*>(data));
}

}  // namespace

namespace cpu {

namespace {

/// A row-major matrix as the product sees it, [rows, cols], where it lies transposed if asked.
memory::desc given(int64_t rows, int64_t cols, memory::data_type type, bool transposed) {
  return {{rows, cols}, type, transposed ? memory::format_tag::ba : memory::format_tag::ab};
}

}  // namespace

void onednn_product(Device& device, const float* a, const float* b, float* y, const ProductSizes& sizes,
                    Precision precision) {
  using tag = memory::format_tag;
  const auto [rows, inner, cols, transpose_a, transpose_b] = sizes;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto type = type_of(product_dtype(precision));
  const auto f32 = memory::data_type::f32;
  const memory::desc y_desc = given(rows, cols, f32, false);
  const dnnl::matmul::primitive_desc plan(dnnl::matmul::desc(memory::desc({rows, inner}, type, tag::any),
                                                             memory::desc({inner, cols}, type, tag::any), y_desc),
                                          engine);
  const memory a_given = wrap(given(rows, inner, f32, transpose_a), engine, a);
  const memory b_given = wrap(given(inner, cols, f32, transpose_b), engine, b);
  const Operand left = arrange(device, engine, stream, a_given, plan.src_desc());
  const Operand right = arrange(device, engine, stream, b_given, plan.weights_desc());
  dnnl::matmul(plan).execute(
      stream, {{DNNL_ARG_SRC, left.value}, {DNNL_ARG_WEIGHTS, right.value}, {DNNL_ARG_DST, wrap(y_desc, engine, y)}});
  stream.wait();
}

void onednn_product(const bfloat16* a, const bfloat16* b, float* y, const ProductSizes& sizes) {
  const auto [rows, inner, cols, transpose_a, transpose_b] = sizes;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto bf16 = memory::data_type::bf16;
  const memory::desc a_desc = given(rows, inner, bf16, transpose_a), b_desc = given(inner, cols, bf16, transpose_b);
  const memory::desc y_desc = given(rows, cols, memory::data_type::f32, false);
  const dnnl::matmul::primitive_desc plan(dnnl::matmul::desc(a_desc, b_desc, y_desc), engine);
  dnnl::matmul(plan).execute(stream, {{DNNL_ARG_SRC, wrap(a_desc, engine, a)},
                                      {DNNL_ARG_WEIGHTS, wrap(b_desc, engine, b)},
                                      {DNNL_ARG_DST, wrap(y_desc, engine, y)}});
  stream.wait();
}

}  // namespace cpu

struct PackedMatrix::Packing {
  Dtype dtype;
  std::shared_ptr<Buffer> buffer;
  memory::desc desc;
};

namespace {

dnnl::matmul::primitive_desc plan_product(const dnnl::engine& engine, int64_t rows, int64_t inputs, int64_t outputs,
                                          Dtype dtype, const memory::desc& weights, bool biased, Dtype output,
                                          bool accumulate) {
  using tag = memory::format_tag;
  dnnl::primitive_attr attributes;
  if (accumulate) {
    dnnl::post_ops after;
    after.append_sum(1.0f);
    attributes.set_post_ops(after);
  }
  const memory::desc a({rows, inputs}, type_of(dtype), tag::ab), y({rows, outputs}, type_of(output), tag::ab);
  const memory::desc bias({1, outputs}, memory::data_type::f32, tag::ab);
  return {biased ? dnnl::matmul::desc(a, weights, bias, y) : dnnl::matmul::desc(a, weights, y), attributes, engine};
}

}  // namespace

PackedMatrix PackedMatrix::pack(const Tensor& w, Precision precision, const Tensor& bias) {
  check_parts(w, bias);
  PackedMatrix packed;
  packed.outputs_ = w.rows();
  packed.inputs_ = w.cols();
  packed.bias_ = bias;
  const Dtype dtype = product_dtype(precision);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const memory::desc any({w.cols(), w.rows()}, type_of(dtype), memory::format_tag::any);
  // The library's layout of the weights for a typical batch; products of other sizes use the same packed copy.
  constexpr int64_t typical_rows = 1024;
  const auto plan = plan_product(engine, typical_rows, w.cols(), w.rows(), dtype, any, false, Dtype::f32, false);
  auto packing = std::make_shared<Packing>();
  packing->dtype = dtype;
  packing->desc = plan.weights_desc();
  packing->buffer = w.device().allocate(packing->desc.get_size());
  const memory::desc given({w.cols(), w.rows()}, type_of(w.dtype()), memory::format_tag::ba);
  memory source = wrap(given, engine, w.raw());
  memory target(packing->desc, engine, packing->buffer->data());
  dnnl::reorder(source, target).execute(stream, source, target);
  stream.wait();
  packed.packing_ = std::move(packing);
  return packed;
}

Dtype PackedMatrix::packed_dtype(Precision precision) { return product_dtype(precision); }

int64_t PackedMatrix::bytes() const { return static_cast<int64_t>(packing_->desc.get_size()); }

Dtype PackedMatrix::input_dtype() const { return packing_->dtype; }

namespace {

void run_packed(const Tensor& a, const memory::desc& weights, void* packed, Dtype dtype, const Tensor& bias,
                int64_t outputs, void* y, Dtype output, bool accumulate) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto plan =
      plan_product(engine, a.rows(), a.cols(), outputs, dtype, weights, bias.defined(), output, accumulate);
  const memory::desc given({a.rows(), a.cols()}, type_of(a.dtype()), memory::format_tag::ab);
  const Operand left = arrange(a.device(), engine, stream, wrap(given, engine, a.raw()), plan.src_desc());
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, left.value},
                                               {DNNL_ARG_WEIGHTS, wrap(weights, engine, packed)},
                                               {DNNL_ARG_DST, wrap(plan.dst_desc(), engine, y)}};
  if (bias.defined()) arguments.emplace(DNNL_ARG_BIAS, wrap(plan.bias_desc(), engine, bias.raw()));
  dnnl::matmul(plan).execute(stream, arguments);
  stream.wait();
}

}  // namespace

Tensor PackedMatrix::product(const Tensor& a, Dtype output) const {
  CHECK(a.cols() == inputs_, "packed matrix: {} times a [{}, {}] weight", a.describe(), outputs_, inputs_);
  // The library has no product of f32 factors with another output.
  if (packing_->dtype == Dtype::f32 && output != Dtype::f32) return product(a).to(output);
  Writable y = Tensor::empty(a.device(), {a.rows(), outputs_}, output);
  if (a.rows() > 0) {
    run_packed(a, packing_->desc, packing_->buffer->data(), packing_->dtype, bias_, outputs_, y.raw(), output, false);
  }
  return std::move(y).freeze();
}

void PackedMatrix::add_product(const Tensor& a, Writable& sum) const {
  CHECK(a.cols() == inputs_ && sum.shape() == Shape({a.rows(), outputs_}),
        "packed matrix: {} times a [{}, {}] weight, added to {}", a.describe(), outputs_, inputs_,
        sum.shape().to_string());
  if (a.rows() > 0) {
    run_packed(a, packing_->desc, packing_->buffer->data(), packing_->dtype, bias_, outputs_, sum.data<float>(),
               Dtype::f32, true);
  }
}

#else  // without oneDNN: the reference product, bfloat16 by rounding the factors

namespace {

Tensor rounded(const Tensor& t) { return t.to(Dtype::bf16).to(Dtype::f32); }

}  // namespace

namespace cpu {

void onednn_product(Device& device, const float* a, const float* b, float* y, const ProductSizes& sizes,
                    Precision precision) {
  if (precision == Precision::f32) return reference_product(a, b, y, sizes);
  const auto round = [&](const float* values, int64_t count) {
    return rounded(Tensor::from(device, {count}, std::span<const float>(values, static_cast<size_t>(count))));
  };
  const Tensor left = round(a, sizes.rows * sizes.inner), right = round(b, sizes.inner * sizes.cols);
  reference_product(left.data<float>(), right.data<float>(), y, sizes);
}

void onednn_product(const bfloat16* a, const bfloat16* b, float* y, const ProductSizes& sizes) {
  const auto widen = [](const bfloat16* values, int64_t count) {
    std::vector<float> wide;
    std::transform(values, values + count, std::back_inserter(wide), [](bfloat16 v) { return static_cast<float>(v); });
    return wide;
  };
  reference_product(widen(a, sizes.rows * sizes.inner).data(), widen(b, sizes.inner * sizes.cols).data(), y, sizes);
}

}  // namespace cpu

struct PackedMatrix::Packing {
  Dtype dtype;
  Tensor weights;  // f32 [outputs, inputs], rounded if dtype is bf16
};

PackedMatrix PackedMatrix::pack(const Tensor& w, Precision precision, const Tensor& bias) {
  check_parts(w, bias);
  PackedMatrix packed;
  packed.outputs_ = w.rows();
  packed.inputs_ = w.cols();
  packed.bias_ = bias;
  const Dtype dtype = packed_dtype(precision);
  packed.packing_ = std::make_shared<Packing>(Packing{dtype, w.to(dtype).to(Dtype::f32)});
  return packed;
}

Dtype PackedMatrix::packed_dtype(Precision precision) {
  return precision == Precision::bf16 ? Dtype::bf16 : Dtype::f32;
}

int64_t PackedMatrix::bytes() const { return packing_->weights.bytes(); }

Dtype PackedMatrix::input_dtype() const { return packing_->dtype; }

Tensor PackedMatrix::product(const Tensor& a, Dtype output) const {
  CHECK(a.cols() == inputs_, "packed matrix: {} times a [{}, {}] weight", a.describe(), outputs_, inputs_);
  Writable y = dense_product(a.to(packing_->dtype).to(Dtype::f32), false, packing_->weights, true).into_writable();
  for (int64_t i = 0; bias_.defined() && i < a.rows() * outputs_; ++i) {
    y.data<float>()[i] += bias_.data<float>()[i % outputs_];
  }
  return std::move(y).freeze().to(output);
}

void PackedMatrix::add_product(const Tensor& a, Writable& sum) const {
  const Tensor y = product(a);
  CHECK(sum.shape() == y.shape(), "packed matrix: a product {} added to {}", y.describe(), sum.shape().to_string());
  for (int64_t i = 0; i < y.elements(); ++i) sum.data<float>()[i] += y.data<float>()[i];
}

#endif

}  // namespace sae
