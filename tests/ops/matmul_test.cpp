#include "ops/matmul/matmul.h"

#include <algorithm>

#include "engine/parallel.h"
#include "engine/simd.h"
#include "ops/matmul/dense_cpu.h"
#include "tests/ops/matmul_test.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class Matmul : public MatmulTest<DeviceTest> {};
INSTANTIATE_TEST_SUITE_P(Devices, Matmul, every_device, device_name);
class MatmulOnCpu : public MatmulTest<CpuTest> {};

// bfloat16 keeps 8 bits: each factor is off by at most 2^-9 of itself, so a product of two by 2^-8 and a bit.
constexpr double bf16_error = 0x1p-8 * 1.01;

/// The largest |actual - expected| over the sum of the magnitudes of the products that make up the element.
double worst_relative_to_products(const std::vector<double>& actual, const std::vector<double>& expected,
                                  const std::vector<double>& magnitudes) {
  double worst = actual.size() == expected.size() ? 0 : 1e9;
  for (size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(actual[i] - expected[i]) / std::max(magnitudes[i], 1e-30));
  }
  return worst;
}

Tensor magnitudes(const Tensor& t) {
  std::vector<double> values = to_double(t);
  for (double& value : values) value = std::abs(value);
  return Tensor::from(t.device(), t.shape(), values);
}

TEST_P(Matmul, ValuesByHand) {
  const Tensor a = f32({2, 2}, {1, 2, 3, 4}), b = f32({2, 3}, {1, 0, 2, 0, 1, 3});
  EXPECT_EQ(std::get<Tensor>(matmul(a, b).value).to_vector<float>(), (std::vector<float>{1, 2, 8, 3, 4, 18}));
  const Tensor stored = f32({3, 2}, {1, 0, 0, 1, 2, 3});
  EXPECT_EQ(std::get<Tensor>(matmul(a, stored, {.transpose_b = true}).value).to_vector<float>(),
            (std::vector<float>{1, 2, 8, 3, 4, 18}));
  const Value sparse = RowSparse{Columns(i32({2, 1}, {1, 0})), f32({2, 1}, {10, 100}), 2};
  EXPECT_EQ(sparse_product(sparse, b).to_vector<float>(), (std::vector<float>{0, 10, 30, 100, 0, 200}));
  // g w^T at places (0, 1) and (1, 0): (1, 2) . (0, 1) and (3, 4) . (1, 0).
  const Value sampled = sampled_product(sparse, a, f32({2, 2}, {1, 0, 0, 1}));
  EXPECT_EQ(stored_values(sampled).to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_TRUE(same_pattern(sampled, sparse));
}

TEST_F(MatmulOnCpu, DenseInEveryTransposition) {
  for (const auto& [rows, inner, cols] :
       {std::array<int64_t, 3>{1, 1, 1}, {2, 3, 4}, {31, 33, 32}, {33, 257, 31}, {257, 64, 1}, {1, 576, 77}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        const Tensor a = random(transpose_a ? Shape{inner, rows} : Shape{rows, inner}, 1);
        const Tensor b = random(transpose_b ? Shape{cols, inner} : Shape{inner, cols}, 2);
        const std::vector<double> expected = naive(a, transpose_a, b, transpose_b);
        const Tensor y = dense_product(a, transpose_a, b, transpose_b);
        ASSERT_EQ(y.shape(), Shape({rows, cols}));
        EXPECT_LT(worst_difference(to_double(y), expected), 2e-6);
        const Tensor y64 = dense_product(a.to(Dtype::f64), transpose_a, b.to(Dtype::f64), transpose_b);
        EXPECT_LT(worst_difference(to_double(y64), expected), 1e-14);
        // The reference in float, which the build without the library uses.
        Writable reference = Tensor::empty(device_, {rows, cols}, Dtype::f32);
        cpu::reference_product(a.data<float>(), b.data<float>(), reference.data<float>(),
                               {rows, inner, cols, transpose_a, transpose_b});
        EXPECT_LT(worst_difference(to_double(std::move(reference).freeze()), expected), 1e-5);
      }
    }
  }
}

TEST_P(Matmul, EmptyExtents) {
  EXPECT_EQ(dense_product(random({0, 3}, 1), false, random({3, 2}, 2), false).shape(), Shape({0, 2}));
  EXPECT_EQ(dense_product(random({2, 3}, 1), false, random({3, 0}, 2), false).shape(), Shape({2, 0}));
  EXPECT_EQ(dense_product(random({2, 0}, 1), false, random({0, 2}, 2), false).to_vector<float>(),
            std::vector<float>(4, 0.0f));
}

TEST_F(MatmulOnCpu, Bfloat16IsWithinItsRounding) {
  const Tensor a = random({33, 257}, 1), b = random({65, 257}, 2);
  const std::vector<double> expected = naive(a, false, b, true);
  const std::vector<double> scale = naive(magnitudes(a), false, magnitudes(b), true);
  const Tensor y = dense_product(a, false, b, true, Precision::bf16);
  EXPECT_LT(worst_relative_to_products(to_double(y), expected, scale), bf16_error);
  if (has_bf16_products()) {
    // It is in fact rounded, and as exactly as if the factors had been rounded first.
    EXPECT_GT(worst_difference(to_double(y), expected), 1e-4);
    const std::vector<double> rounded = naive(a.to(Dtype::bf16), false, b.to(Dtype::bf16), true);
    EXPECT_LT(worst_difference(to_double(y), rounded), 2e-6);
  }
}

TEST_P(Matmul, SparseProductsAgainstDenseAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : {1, 31, 33, 257}) {
      for (const int64_t width : {1, 33}) {
        const Tensor w = random({cols, width}, 1), g = random({rows, width}, 2);
        for (const Value& sparse : {Value(random_row_sparse(device_, rows, cols, (cols + 3) / 4, Dtype::f32, 3)),
                                    Value(random_compressed(device_, rows, cols, Dtype::f32, 4))}) {
          const std::vector<double> product = naive(dense64(sparse), false, w, false);
          EXPECT_LT(worst_difference(to_double(sparse_product(sparse, w)), product, 1.0), 3e-6);
          const Value sparse64 = converted(sparse, Dtype::f64);
          EXPECT_LT(worst_difference(to_double(sparse_product(sparse64, w.to(Dtype::f64))), product, 1.0), 1e-14);

          const std::vector<double> full = naive(g, false, w, true);
          const Tensor there = elements_at(Tensor::from(device_, {rows, cols}, full), sparse64);
          EXPECT_LT(worst_difference(to_double(stored_values(sampled_product(sparse, g, w))), to_double(there), 1.0),
                    3e-6);
          const Value sampled64 = sampled_product(sparse64, g.to(Dtype::f64), w.to(Dtype::f64));
          EXPECT_LT(worst_difference(to_double(stored_values(sampled64)), to_double(there), 1.0), 1e-14);
        }
      }
    }
  }
}

TEST_P(Matmul, DenseEqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    for (const int64_t inner : {int64_t{0}, int64_t{1}, int64_t{33}}) {
      for (const bool ta : {false, true}) {
        for (const bool tb : {false, true}) {
          expect_equal_bits(device_, [&](Device& device) {
            const Tensor a = exact_tensor(device, ta ? Shape{inner, rows} : Shape{rows, inner}, Dtype::f32, 1);
            const Tensor b = exact_tensor(device, tb ? Shape{cols, inner} : Shape{inner, cols}, Dtype::f32, 2);
            return std::vector<Value>{dense_product(a, ta, b, tb), dense_product(a, ta, b, tb, Precision::bf16),
                                      dense_product(a.to(Dtype::f64), ta, b.to(Dtype::f64), tb)};
          });
        }
      }
    }
  });
}

TEST_P(Matmul, SparseEqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t width) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter w("w", exact_tensor(device, {70, width}, Dtype::f32, 1));
      const Tensor g = exact_tensor(device, {rows, width}, Dtype::f32, 2);
      std::vector<Value> results;
      for (const Value& sparse : {Value(exact_row_sparse(device, rows, 70, 9, Dtype::f32, 3)),
                                  Value(exact_compressed(device, rows, 70, Dtype::f32, 4))}) {
        Tape tape;
        const Variable y = matmul(sparse, tape.watch(w));
        tape.backward(y, g);
        results.insert(results.end(), {y.value, sampled_product(sparse, g, w.value())});
      }
      results.push_back(materialize(w.gradient, device, {70, width}, Dtype::f32));
      return results;
    });
  });
}

// Compressed latents are decoded by a library where there is one: held against the kernel that everything else uses.
TEST_P(Matmul, LibraryAndKernelAgreeOnCompressedRows) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t width : edge_sizes) {
      const Value sparse = random_compressed(device_, rows, 70, Dtype::f32, 1);
      const Tensor dense = random_tensor(device_, {70, width}, Dtype::f32, 2);
      EXPECT_LT(worst_difference(matmul(sparse, dense).value, Value(sparse_product(sparse, dense))), 1e-6);
      const Value none = random_compressed(device_, rows, 70, Dtype::f64, 1, 0.0f);
      EXPECT_EQ(worst_difference(matmul(none, dense.to(Dtype::f64)).value,
                                 Value(Tensor::zeros(device_, {rows, width}, Dtype::f64))),
                0);
    }
  }
}

TEST_P(Matmul, Gradients) {
  Parameter a = random_parameter(device_, "a", {5, 7}, 1), b = random_parameter(device_, "b", {7, 4}, 2);
  Parameter stored = random_parameter(device_, "stored", {9, 7}, 3);
  EXPECT_LT(gradient_error({&a, &b}, [&](Tape& t) { return matmul(t.watch(a), t.watch(b)); }), gradient_tolerance);
  const auto transposed = [&](Tape& t) { return matmul(t.watch(a), t.watch(stored), {.transpose_b = true}); };
  EXPECT_LT(gradient_error({&a, &stored}, transposed), gradient_tolerance);
  EXPECT_LT(gradient_error({&a, &stored}, transposed, random_row_sparse(device_, 5, 9, 3, Dtype::f64, 4)),
            gradient_tolerance);
  EXPECT_LT(gradient_error({&a, &stored}, transposed, random_compressed(device_, 5, 9, Dtype::f64, 5)),
            gradient_tolerance);
  for (const Value& pattern : {Value(random_row_sparse(device_, 5, 7, 3, Dtype::f64, 6)),
                               Value(random_compressed(device_, 5, 7, Dtype::f64, 7))}) {
    EXPECT_LT(gradient_error({&a, &b}, [&](Tape& t) { return matmul(at_pattern(t.watch(a), pattern), t.watch(b)); }),
              gradient_tolerance);
  }
}

TEST_P(Matmul, WeightGradientsOfSparseProductsAreDeferred) {
  const Value latents = random_row_sparse(device_, 5, 7, 3, Dtype::f64, 1);
  Parameter decoder = random_parameter(device_, "decoder", {7, 4}, 2);
  Parameter encoder = random_parameter(device_, "encoder", {7, 4}, 3);
  const Tensor x = random({5, 4}, 4, Dtype::f64);
  Tape tape;
  const Variable y = matmul(latents, tape.watch(decoder));
  tape.backward(y, random({5, 4}, 5, Dtype::f64));
  ASSERT_EQ(decoder.gradient.terms().size(), 1u);
  const auto* term = std::get_if<DeferredProduct>(&decoder.gradient.terms()[0]);
  ASSERT_NE(term, nullptr);
  EXPECT_TRUE(same_pattern(term->sparse, latents));
  Tape second;
  second.backward(matmul(x, second.watch(encoder), {.transpose_b = true}), latents);
  ASSERT_EQ(encoder.gradient.terms().size(), 1u);
  EXPECT_TRUE(std::holds_alternative<DeferredProduct>(encoder.gradient.terms()[0]));
  EXPECT_EQ(tape.report().densified + second.report().densified, 0);
}

TEST_P(Matmul, FloatGradientsAgreeWithDouble) {
  const Tensor a = random({33, 64}, 1), w = random({40, 64}, 2);
  for (const Value& gradient : {Value(random({33, 40}, 3)), Value(random_row_sparse(device_, 33, 40, 7, Dtype::f32, 4)),
                                Value(random_compressed(device_, 33, 40, Dtype::f32, 5))}) {
    Parameter pa("a", a), pw("w", w), pa64("a", a.to(Dtype::f64)), pw64("w", w.to(Dtype::f64));
    Tape tape, tape64;
    tape.backward(matmul(tape.watch(pa), tape.watch(pw), {.transpose_b = true}), gradient);
    tape64.backward(matmul(tape64.watch(pa64), tape64.watch(pw64), {.transpose_b = true}),
                    converted(gradient, Dtype::f64));
    EXPECT_LT(worst_difference(gradient_of(pa), gradient_of(pa64)), 2e-6);
    EXPECT_LT(worst_difference(gradient_of(pw), gradient_of(pw64)), 2e-6);
  }
}

TEST_F(MatmulOnCpu, SameBitsWithOneAndTwoThreads) {
  const Tensor a = random({300, 128}, 1), w = random({513, 128}, 2), g = random({300, 513}, 3);
  const Value sparse = random_row_sparse(device_, 300, 513, 32, Dtype::f32, 4);
  const auto run = [&](int workers) {
    const int before = threads();
    set_threads(workers);
    std::vector<std::vector<float>> results = {
        dense_product(a, false, w, true).to_vector<float>(),
        dense_product(a, false, w, true, Precision::bf16).to_vector<float>(),
        dense_product(g, true, a, false).to_vector<float>(),
        dense_product(g, false, w, false).to_vector<float>(),
        sparse_product(sparse, w).to_vector<float>(),
        stored_values(sampled_product(sparse, a, w)).to_vector<float>(),
    };
    set_threads(before);
    return results;
  };
  EXPECT_EQ(run(1), run(2));
}

TEST_F(MatmulOnCpu, Refusals) {
  const Tensor a = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  const Value sparse = random_row_sparse(device_, 2, 3, 1, Dtype::f32, 1);
  EXPECT_REFUSED(matmul(a, a), "matmul: f32 [2, 3] times f32 [2, 3]: the inner extents differ");
  EXPECT_REFUSED(matmul(a, f32({2, 2}, {1, 2, 3, 4}), {.transpose_b = true}),
                 "matmul: f32 [2, 3] times f32 [2, 2] transposed");
  EXPECT_REFUSED(matmul(a, f64({3, 1}, {1, 2, 3})), "matmul: f32 [2, 3] times f64 [3, 1]: the dtypes differ");
  EXPECT_REFUSED(matmul(a, sparse), "matmul: expected a dense tensor");
  EXPECT_REFUSED(matmul(sparse, a, {.transpose_b = true}), "matmul: row-sparse");
  EXPECT_REFUSED(matmul(i32({1, 1}, {1}), i32({1, 1}, {1})), "matmul: expected f32 or f64");
  EXPECT_REFUSED(sparse_product(sparse, a), "matmul: row-sparse f32 [2, 3] k 1 times dense f32 [2, 3]");
  EXPECT_REFUSED(sparse_product(a, f32({3, 1}, {1, 2, 3})), "matmul: expected a sparse layout");
  EXPECT_REFUSED(sampled_product(sparse, a, a), "matmul: f32 [2, 3] times f32 [2, 3] transposed, at the places of");

  Parameter pa = random_parameter(device_, "a", {2, 3}, 1), pb = random_parameter(device_, "b", {3, 4}, 2);
  const Value gradient = random_row_sparse(device_, 2, 4, 1, Dtype::f64, 3);
  Tape tape;
  const Variable y = matmul(tape.watch(pa), tape.watch(pb));
  EXPECT_REFUSED(tape.backward(y, gradient), "matmul backward: a gradient row-sparse f64 [2, 4] k 1 needs b stored as");
  Tape second;
  const Variable z =
      matmul(at_pattern(second.watch(pa), random_row_sparse(device_, 2, 3, 1, Dtype::f64, 4)), second.watch(pb));
  EXPECT_REFUSED(second.backward(z, gradient), "matmul backward: row-sparse");
}

}  // namespace
}  // namespace sae
