// Everything that includes oneDNN: the dense product and the packed weights.
#include "ops/matmul/dense_cpu.h"
#include "ops/matmul/packed_weights.h"

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

/// In the library's own layout.
class LibraryWeights final : public PackedWeights {
 public:
  LibraryWeights(Device& device, int64_t outputs, int64_t inputs, Dtype dtype) : outputs_(outputs), dtype_(dtype) {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const memory::desc any({inputs, outputs}, type_of(dtype), memory::format_tag::any);
    // The library's layout of the weights for a typical batch; products of other sizes use the same packed copy.
    constexpr int64_t typical_rows = 1024;
    const auto plan = plan_product(engine, typical_rows, inputs, outputs, dtype, any, false, Dtype::f32, false);
    desc_ = plan.weights_desc();
    buffer_ = device.allocate(desc_.get_size());
  }

  void set_rows(int64_t begin, const Tensor& rows) override {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    const memory::desc given({rows.cols(), rows.rows()}, type_of(rows.dtype()), memory::format_tag::ba);
    memory source = wrap(given, engine, rows.raw());
    memory target(desc_.submemory_desc({rows.cols(), rows.rows()}, {0, begin}), engine, buffer_->data());
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
  }

  Dtype dtype() const override { return dtype_; }
  int64_t bytes() const override { return static_cast<int64_t>(desc_.get_size()); }
  // The library has no product of f32 factors with another output.
  bool writes(Dtype output) const override { return output == Dtype::f32 || dtype_ != Dtype::f32; }

  void multiply(const Tensor& a, const Tensor& bias, void* y, Dtype output, bool accumulate) const override {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    const auto plan =
        plan_product(engine, a.rows(), a.cols(), outputs_, dtype_, desc_, bias.defined(), output, accumulate);
    const memory::desc given({a.rows(), a.cols()}, type_of(a.dtype()), memory::format_tag::ab);
    const Operand left = arrange(a.device(), engine, stream, wrap(given, engine, a.raw()), plan.src_desc());
    std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, left.value},
                                                 {DNNL_ARG_WEIGHTS, wrap(desc_, engine, buffer_->data())},
                                                 {DNNL_ARG_DST, wrap(plan.dst_desc(), engine, y)}};
    if (bias.defined()) arguments.emplace(DNNL_ARG_BIAS, wrap(plan.bias_desc(), engine, bias.raw()));
    dnnl::matmul(plan).execute(stream, arguments);
    stream.wait();
  }

 private:
  int64_t outputs_;
  Dtype dtype_;
  std::shared_ptr<Buffer> buffer_;
  memory::desc desc_;
};

}  // namespace

namespace cpu {

Dtype packed_dtype(Precision precision) { return product_dtype(precision); }

std::shared_ptr<PackedWeights> make_weights(Device& device, int64_t outputs, int64_t inputs, Precision precision) {
  return std::make_shared<LibraryWeights>(device, outputs, inputs, product_dtype(precision));
}

}  // namespace cpu

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

namespace {

class PlainWeights final : public PackedWeights {
 public:
  PlainWeights(Device& device, int64_t outputs, int64_t inputs, Dtype dtype)
      : dtype_(dtype), weights_(Tensor::zeros(device, {outputs, inputs}, Dtype::f32)) {}

  void set_rows(int64_t begin, const Tensor& rows) override {
    const Tensor rounded = rows.to(dtype_).to(Dtype::f32);
    Writable all = std::move(weights_).into_writable();
    std::copy_n(rounded.data<float>(), rounded.elements(), all.data<float>() + begin * rounded.cols());
    weights_ = std::move(all).freeze();
  }

  Dtype dtype() const override { return dtype_; }
  int64_t bytes() const override { return weights_.bytes(); }
  bool writes(Dtype output) const override { return output == Dtype::f32; }

  void multiply(const Tensor& a, const Tensor& bias, void* y, Dtype, bool accumulate) const override {
    const Tensor product = dense_product(a.to(dtype_).to(Dtype::f32), false, weights_, true);
    auto* to = static_cast<float*>(y);
    const float* shift = bias.defined() ? bias.data<float>() : nullptr;
    for (int64_t i = 0; i < product.elements(); ++i) {
      const float value = product.data<float>()[i] + (shift != nullptr ? shift[i % product.cols()] : 0.0f);
      to[i] = accumulate ? to[i] + value : value;
    }
  }

 private:
  Dtype dtype_;
  Tensor weights_;  // f32 [outputs, inputs], rounded if dtype_ is bf16
};

}  // namespace

namespace cpu {

Dtype packed_dtype(Precision precision) { return precision == Precision::bf16 ? Dtype::bf16 : Dtype::f32; }

std::shared_ptr<PackedWeights> make_weights(Device& device, int64_t outputs, int64_t inputs, Precision precision) {
  return std::make_shared<PlainWeights>(device, outputs, inputs, packed_dtype(precision));
}

}  // namespace cpu

#endif

}  // namespace sae
