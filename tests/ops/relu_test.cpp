#include "ops/relu/relu.h"

#include <limits>

#include "ops/matmul/matmul.h"
#include "ops/relu/relu_cpu.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class Relu : public DeviceTest {
 protected:
  /// Normal values, with zeros and negative zeros strewn in.
  Tensor with_zeros(Shape shape, Dtype dtype, uint64_t seed) {
    std::vector<double> values = to_double(random_tensor(device_, shape, Dtype::f32, seed));
    for (size_t i = 0; i < values.size(); i += 5) values[i] = i % 2 == 0 ? 0.0 : -0.0;
    return Tensor::from(device_, shape, values).to(dtype);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, Relu, every_device, device_name);

TEST_P(Relu, ValuesByHand) {
  const Tensor y = std::get<Tensor>(relu(f32({2, 3}, {1, -2, 0, -0.0f, 5, -1e-30f})).value);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{1, 0, 0, 0, 5, 0}));
  EXPECT_FALSE(std::signbit(y.to_vector<float>()[3]));

  const RowSparse x{Columns(i32({2, 2}, {4, 1, 0, 2})), f32({2, 2}, {-1, 2, 3, 0}), 5};
  const RowSparse z = std::get<RowSparse>(relu(Value(x)).value);
  EXPECT_EQ(z.columns, x.columns);
  EXPECT_EQ(z.values.to_vector<float>(), (std::vector<float>{0, 2, 3, 0}));
}

TEST_P(Relu, CompressedValuesByHand) {
  const CompressedRows y =
      std::get<CompressedRows>(relu_compressed(f32({3, 3}, {1, -2, 3, -0.0f, 0, -1, 0, 0, 7})).value);
  EXPECT_EQ(y.offsets.to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 2, 3}));
  EXPECT_EQ(y.index.to_vector<int32_t>(), (std::vector<int32_t>{0, 2, 2}));
  EXPECT_EQ(y.values.to_vector<float>(), (std::vector<float>{1, 3, 7}));
  EXPECT_EQ(y.cols, 3);
}

TEST_P(Relu, KeepsNotANumber) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = f32({1, 2}, {nan, -1});
  EXPECT_TRUE(std::isnan(std::get<Tensor>(relu(x).value).to_vector<float>()[0]));
  const CompressedRows y = std::get<CompressedRows>(relu_compressed(x).value);
  ASSERT_EQ(y.stored(), 1);
  EXPECT_TRUE(std::isnan(y.values.to_vector<float>()[0]));
}

TEST_P(Relu, Gradient) {
  Parameter x = random_parameter(device_, "x", {6, 11}, 1);
  const auto dense = [&](Tape& tape) { return relu(tape.watch(x)); };
  EXPECT_LT(gradient_error({&x}, dense), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, random_row_sparse(device_, 6, 11, 4, Dtype::f64, 2)), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, random_compressed(device_, 6, 11, Dtype::f64, 3)), gradient_tolerance);
  for (const Value& pattern : {Value(random_row_sparse(device_, 6, 11, 4, Dtype::f64, 2)),
                               Value(random_compressed(device_, 6, 11, Dtype::f64, 3))}) {
    EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return relu(at_pattern(tape.watch(x), pattern)); }),
              gradient_tolerance);
  }
  EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return relu_compressed(tape.watch(x)); }), gradient_tolerance);
}

TEST_P(Relu, SparseGradientMayRepeatAColumn) {
  Parameter x("x", f64({1, 3}, {1, 2, -3}));
  Tape tape;
  tape.backward(relu(tape.watch(x)), RowSparse{Columns(i32({1, 4}, {1, 2, 1, 0})), f64({1, 4}, {10, 20, 30, 40}), 3});
  EXPECT_EQ(to_double(materialize(x.gradient, device_, {1, 3}, Dtype::f64)), (std::vector<double>{40, 40, 0}));
}

TEST_P(Relu, CompressedCarriesAGradientThroughAProductWithoutDensifying) {
  const Tensor x = random_tensor(device_, {7, 4}, Dtype::f64, 1);
  Parameter encoder = random_parameter(device_, "encoder", {9, 4}, 2);
  Parameter decoder = random_parameter(device_, "decoder", {9, 4}, 3);
  const auto chain = [&](Tape& tape) {
    return matmul(relu_compressed(matmul(x, tape.watch(encoder), {.transpose_b = true})), tape.watch(decoder));
  };
  EXPECT_LT(gradient_error({&encoder, &decoder}, chain), gradient_tolerance);
  Tape tape;
  tape.backward(chain(tape), random_tensor(device_, {7, 4}, Dtype::f64, 4));
  EXPECT_EQ(tape.report().densified, 0);
}

TEST_P(Relu, FloatAgainstReferenceAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor x = with_zeros({rows, cols}, Dtype::f32, 1), x64 = x.to(Dtype::f64);
      const Tensor y = std::get<Tensor>(relu(x).value);
      EXPECT_EQ(to_double(y), to_double(std::get<Tensor>(relu(x64).value)));
      const CompressedRows z = std::get<CompressedRows>(relu_compressed(x).value);
      const CompressedRows z64 = std::get<CompressedRows>(relu_compressed(x64).value);
      EXPECT_EQ(z.offsets.to_vector<int64_t>(), z64.offsets.to_vector<int64_t>());
      EXPECT_EQ(z.index.to_vector<int32_t>(), z64.index.to_vector<int32_t>());
      EXPECT_EQ(to_double(z.values), to_double(z64.values));
      EXPECT_EQ(dense_values(z), to_double(y));

      Parameter p("x", x);
      Tape tape;
      const Tensor g = random_tensor(device_, {rows, cols}, Dtype::f32, 2);
      tape.backward(relu(tape.watch(p)), g);
      std::vector<double> expected = to_double(g);
      const std::vector<double> outputs = to_double(y);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] = outputs[i] > 0 ? expected[i] : 0;
      EXPECT_EQ(to_double(materialize(p.gradient, device_, {rows, cols}, Dtype::f32)), expected);
    }
  }
}

TEST_P(Relu, CompressedIsRightAtEveryDensity) {
  for (const float density : {0.0f, 0.01f, 0.2f, 0.5f, 0.9f, 1.0f}) {
    for (const int64_t cols : {15, 63, 64, 65, 129, 1000}) {
      std::vector<float> values(static_cast<size_t>(5 * cols));
      const Philox random(static_cast<uint64_t>(cols), 7);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = (random.uniform(i) < density ? 1.0f : -1.0f) * static_cast<float>(i + 1);
      }
      const Tensor x = f32({5, cols}, values);
      EXPECT_EQ(dense_values(relu_compressed(x).value), to_double(std::get<Tensor>(relu(x).value)))
          << "density " << density << ", columns " << cols;
    }
  }
}

class ReluOnCpu : public CpuTest {};

TEST_F(ReluOnCpu, EveryInstructionSetFindsTheSameEntries) {
#if defined(__x86_64__)
  const int64_t cols = 201;
  std::vector<float> elements = random_tensor(device_, {1, cols}, Dtype::f32, 3).to_vector<float>();
  for (size_t i = 0; i < elements.size(); i += 5) elements[i] = i % 2 == 0 ? 0.0f : -0.0f;
  const Tensor x = f32({1, cols}, elements);
  const auto run = [&](auto mark, auto gather) {
    std::vector<uint64_t> words(static_cast<size_t>(cpu::words_per_row(cols)));
    const int64_t count = mark(x.data<float>(), cols, words.data());
    std::vector<int32_t> index(static_cast<size_t>(count));
    std::vector<float> values(static_cast<size_t>(count));
    gather(x.data<float>(), words.data(), cols, count, index.data(), values.data());
    return std::tuple(words, index, values);
  };
  const auto expected = run(baseline::mark_positive, baseline::gather_positive);
  EXPECT_GT(std::get<1>(expected).size(), 50u);
  if (simd_level() >= SimdLevel::avx2) {
    EXPECT_EQ(run(avx2::mark_positive, avx2::gather_positive), expected);
  }
  if (simd_level() >= SimdLevel::avx512) {
    EXPECT_EQ(run(avx512::mark_positive, avx512::gather_positive), expected);
  }
#endif
}

TEST_P(Relu, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      const Tensor x = exact_tensor(device, {rows, cols}, Dtype::f32, 1);
      const Tensor g = exact_tensor(device, {rows, cols}, Dtype::f32, 2);
      Parameter p("x", x);
      Tape dense, sparse, compressed;
      dense.backward(relu(dense.watch(p)), g);
      sparse.backward(relu(sparse.watch(p)), exact_compressed(device, rows, cols, Dtype::f32, 3));
      const Variable y = relu_compressed(compressed.watch(p));
      compressed.backward(y, with_stored_values(y.value, elements_at(g, y.value)));
      return std::vector<Value>{relu(x).value, y.value, materialize(p.gradient, device, x.shape(), Dtype::f32)};
    });
  });
}

TEST_P(Relu, Refusals) {
  Parameter x = random_parameter(device_, "x", {3, 4}, 1);
  const Value pattern = random_row_sparse(device_, 3, 4, 2, Dtype::f64, 2);
  const Value other = random_row_sparse(device_, 3, 4, 2, Dtype::f64, 3);
  const auto sparse_backward = [&](const Value& gradient) {
    Tape tape;
    tape.backward(relu(at_pattern(tape.watch(x), pattern)), gradient);
  };
  EXPECT_REFUSED(sparse_backward(other), "relu backward: row-sparse f64 [3, 4] k 2");
  EXPECT_REFUSED(sparse_backward(x.value()), "relu backward");
  const auto compressed_backward = [&](const Value& gradient) {
    Tape tape;
    tape.backward(relu_compressed(tape.watch(x)), gradient);
  };
  EXPECT_REFUSED(compressed_backward(other), "relu_compressed backward: compressed rows");
  EXPECT_REFUSED(compressed_backward(x.value()), "relu_compressed backward");
  EXPECT_REFUSED(relu(i32({1}, {1})), "relu: expected f32 or f64, got i32");
  EXPECT_REFUSED(relu_compressed(i32({1}, {1})), "relu_compressed: expected f32 or f64");
  EXPECT_REFUSED(relu_compressed(pattern), "relu_compressed: expected a dense tensor");
}

}  // namespace
}  // namespace sae
