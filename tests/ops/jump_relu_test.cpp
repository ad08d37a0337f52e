#include "ops/jump_relu/jump_relu.h"

#include <limits>

#include "ops/matmul/matmul.h"
#include "tests/support/devices.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class JumpRelu : public DeviceTest {
 protected:
  Tensor thresholds(int64_t cols, Dtype dtype) {
    std::vector<double> values;
    for (int64_t col = 0; col < cols; ++col) values.push_back(0.1 + 0.07 * static_cast<double>(col % 11));
    return f64({cols}, values).to(dtype);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, JumpRelu, every_device, device_name);

TEST_P(JumpRelu, ValuesByHand) {
  const Tensor x = f32({2, 3}, {1, 0.5, 3, -1, 2, 0.25}), threshold = f32({3}, {0.5, 0.5, 4});
  const std::vector<float> expected = {1, 0, 0, 0, 2, 0};  // 0.5 is not above 0.5
  EXPECT_EQ(std::get<Tensor>(jump_relu(x, threshold, 0.1).value).to_vector<float>(), expected);
  const CompressedRows active = std::get<CompressedRows>(jump_relu_compressed(x, threshold, 0).value);
  EXPECT_EQ(active.offsets.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(active.index.to_vector<int32_t>(), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(active.values.to_vector<float>(), (std::vector<float>{1, 2}));
  // Within the kernel, what is not active is stored as a 0: [0, 1] at 0.5, [0, 2] at 3 and [1, 2] at 0.25 for 4.
  const CompressedRows with_kernel = std::get<CompressedRows>(jump_relu_compressed(x, threshold, 2.5).value);
  EXPECT_EQ(with_kernel.index.to_vector<int32_t>(), (std::vector<int32_t>{0, 1, 2, 1}));
  EXPECT_EQ(with_kernel.values.to_vector<float>(), (std::vector<float>{1, 0, 0, 2}));
}

// "Jumping Ahead", eq. 11, by hand: dthreshold = - threshold / bandwidth * (sum of g where |x - threshold| < 1/2
// width).
TEST_P(JumpRelu, PseudoGradientByHand) {
  const Tensor x = f64({4, 1}, {1.9, 2.1, 2.6, 1.2}), g = f64({4, 1}, {1, 10, 100, 1000});
  for (const bool compressed : {false, true}) {
    Parameter px("x", x.clone()), threshold("threshold", f64({1}, {2}));
    Tape tape;
    const Variable y = compressed ? jump_relu_compressed(tape.watch(px), tape.watch(threshold), 0.5)
                                  : jump_relu(tape.watch(px), tape.watch(threshold), 0.5);
    // Stored: 1.9, 2.1 and 2.6, but not 1.2.
    tape.backward(y, compressed ? with_stored_values(y.value, f64({3}, {1, 10, 100})) : Value(g));
    EXPECT_EQ(to_double(materialize(px.gradient, device_, {4, 1}, Dtype::f64)), (std::vector<double>{0, 10, 100, 0}));
    EXPECT_EQ(to_double(materialize(threshold.gradient, device_, {1}, Dtype::f64)),
              (std::vector<double>{-2 / 0.5 * 11}));
  }
}

// The pseudo-gradient is the derivative of a smoothed loss: averaged over many x spread evenly around the threshold,
// it is the derivative of the sum of y with respect to the threshold, -threshold for each unit of density.
TEST_P(JumpRelu, PseudoGradientIsTheDerivativeOfTheExpectation) {
  const int64_t rows = 20001;
  std::vector<double> x;
  for (int64_t i = 0; i < rows; ++i) x.push_back(4.0 * static_cast<double>(i) / static_cast<double>(rows - 1) - 1);
  const double spacing = 4.0 / static_cast<double>(rows - 1);
  const auto sum_at = [&](double threshold) {
    double sum = 0;
    for (const double value : x) sum += value > threshold ? value : 0;
    return sum;
  };
  const double numeric = (sum_at(1.3 + 0.05) - sum_at(1.3 - 0.05)) / 0.1;
  Parameter threshold("threshold", f64({1}, {1.3}));
  Tape tape;
  tape.backward(jump_relu(f64({rows, 1}, x), tape.watch(threshold), 0.1),
                f64({rows, 1}, std::vector<double>(static_cast<size_t>(rows), 1.0)));
  const double got = to_double(materialize(threshold.gradient, device_, {1}, Dtype::f64))[0];
  EXPECT_NEAR(got, -1.3 / spacing, 0.01 * 1.3 / spacing);
  EXPECT_NEAR(got, numeric, 0.01 * std::abs(numeric));
}

TEST_P(JumpRelu, GradientOfXIsTheDerivative) {
  Parameter x = random_parameter(device_, "x", {6, 11}, 1);
  const Tensor threshold = thresholds(11, Dtype::f64);
  const auto dense = [&](Tape& tape) { return jump_relu(tape.watch(x), threshold, 0.2); };
  EXPECT_LT(gradient_error({&x}, dense), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, random_row_sparse(device_, 6, 11, 4, Dtype::f64, 2)), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, random_compressed(device_, 6, 11, Dtype::f64, 3)), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return jump_relu_compressed(tape.watch(x), threshold, 0.2); }),
            gradient_tolerance);
}

TEST_P(JumpRelu, BothLayoutsTrainAlikeThroughAProduct) {
  const Tensor decoder = random_tensor(device_, {9, 4}, Dtype::f64, 3),
               g = random_tensor(device_, {7, 4}, Dtype::f64, 4);
  std::vector<std::vector<double>> dense, compressed;
  for (auto* results : {&dense, &compressed}) {
    Parameter x("x", random_tensor(device_, {7, 9}, Dtype::f64, 1)), threshold("threshold", thresholds(9, Dtype::f64));
    Tape tape;
    const Variable z = results == &dense ? jump_relu(tape.watch(x), tape.watch(threshold), 0.6)
                                         : jump_relu_compressed(tape.watch(x), tape.watch(threshold), 0.6);
    tape.backward(matmul(z, decoder), g);
    *results = {to_double(materialize(x.gradient, device_, {7, 9}, Dtype::f64)),
                to_double(materialize(threshold.gradient, device_, {9}, Dtype::f64))};
  }
  EXPECT_LT(worst_difference(compressed[0], dense[0]), 1e-14);
  EXPECT_LT(worst_difference(compressed[1], dense[1]), 1e-14);
}

TEST_P(JumpRelu, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor x = random_tensor(device_, {rows, cols}, Dtype::f32, 1), threshold = thresholds(cols, Dtype::f32);
      EXPECT_LT(float_error({x, threshold}, [](const auto& in) { return jump_relu(in[0], in[1], 0.25); }), 1e-6);
      EXPECT_LT(float_error({x, threshold}, [](const auto& in) { return jump_relu_compressed(in[0], in[1], 0.25); }),
                1e-6);
    }
  }
}

TEST_P(JumpRelu, KeepsNotANumber) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = f32({1, 2}, {nan, -1}), threshold = f32({2}, {1, 1});
  EXPECT_TRUE(std::isnan(std::get<Tensor>(jump_relu(x, threshold, 0).value).to_vector<float>()[0]));
  const CompressedRows y = std::get<CompressedRows>(jump_relu_compressed(x, threshold, 0).value);
  ASSERT_EQ(y.stored(), 1);
  EXPECT_TRUE(std::isnan(y.values.to_vector<float>()[0]));
}

TEST_P(JumpRelu, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter x("x", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      Parameter threshold("threshold",
                          Tensor::from(device, {cols}, std::vector<float>(static_cast<size_t>(cols), 0.25f)));
      Tape dense, sparse, compressed;
      const Variable y = jump_relu(dense.watch(x), dense.watch(threshold), 0.5);
      dense.backward(y, exact_tensor(device, {rows, cols}, Dtype::f32, 2));
      sparse.backward(jump_relu(sparse.watch(x), sparse.watch(threshold), 0.5),
                      exact_compressed(device, rows, cols, Dtype::f32, 3));
      const Variable z = jump_relu_compressed(compressed.watch(x), compressed.watch(threshold), 0.5);
      compressed.backward(z, z.value);
      return std::vector<Value>{y.value, z.value, materialize(x.gradient, device, {rows, cols}, Dtype::f32),
                                materialize(threshold.gradient, device, {cols}, Dtype::f32)};
    });
  });
}

TEST_P(JumpRelu, Refusals) {
  const Tensor x = f32({1, 2}, {1, 2}), threshold = f32({2}, {1, 2});
  EXPECT_REFUSED(jump_relu(x, f32({1}, {1}), 0.1), "jump_relu: f32 [1, 2] with thresholds f32 [1]");
  EXPECT_REFUSED(jump_relu(x, f32({2}, {1, 0}), 0.1), "jump_relu: the threshold of column 1 is 0");
  EXPECT_REFUSED(jump_relu(x, threshold, -0.1), "jump_relu: bandwidth -0.1");
  EXPECT_REFUSED(jump_relu(x, threshold.to(Dtype::f64), 0.1), "jump_relu");
  EXPECT_REFUSED(jump_relu(i32({1, 2}, {1, 2}), threshold, 0.1), "jump_relu");
  Parameter p("x", x.clone());
  Tape tape;
  EXPECT_REFUSED(tape.backward(jump_relu_compressed(tape.watch(p), threshold, 0.1), f32({1, 2}, {1, 2})),
                 "jump_relu backward: compressed rows");
}

}  // namespace
}  // namespace sae
