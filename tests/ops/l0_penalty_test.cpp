#include "ops/l0_penalty/l0_penalty.h"

#include "engine/parallel.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }
std::vector<double> threshold_gradient(const Tensor& x, const Tensor& threshold, double bandwidth) {
  Parameter p("threshold", threshold.clone());
  Tape tape;
  tape.backward(l0_penalty(x, tape.watch(p), bandwidth));
  return to_double(materialize(p.gradient, x.device(), threshold.shape(), threshold.dtype()));
}

class L0Penalty : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, L0Penalty, every_device, device_name);

class L0PenaltyOnCpu : public CpuTest {};

TEST_P(L0Penalty, ValuesByHand) {
  const Tensor x = f32({2, 3}, {1, 0.5, 3, -1, 2, 5}), threshold = f32({3}, {0.5, 0.5, 4});
  EXPECT_EQ(number(l0_penalty(x, threshold, 0.1)), 1.5);  // 1; 2 and 5; two rows
  EXPECT_EQ(number(l0_penalty(f32({0, 3}, {}), threshold, 0.1)), 0);
}

// "Jumping Ahead", eq. 12: -1 / (rows bandwidth) for each x within half a bandwidth of its threshold; x receives none.
TEST_P(L0Penalty, PseudoGradientByHand) {
  const Tensor x = f64({4, 2}, {1.9, 0, 2.1, 1, 2.6, 1, 1.2, 1.25}), threshold = f64({2}, {2, 1});
  EXPECT_EQ(threshold_gradient(x, threshold, 0.5), (std::vector<double>{-2 / (4 * 0.5), -2 / (4 * 0.5)}));
  EXPECT_EQ(threshold_gradient(x, threshold, 1e-3), (std::vector<double>{0, -2 / (4 * 1e-3)}));
  Parameter p("x", x.clone());
  Tape tape;
  tape.backward(l0_penalty(tape.watch(p), threshold, 0.5));
  EXPECT_TRUE(p.gradient.empty());
}

// Averaged over x spread evenly, it is the derivative of the expected count: minus the density.
TEST_P(L0Penalty, PseudoGradientIsTheDerivativeOfTheExpectation) {
  const int64_t rows = 10001;
  std::vector<double> x;
  for (int64_t i = 0; i < rows; ++i) x.push_back(2.0 * static_cast<double>(i) / static_cast<double>(rows - 1));
  EXPECT_NEAR(threshold_gradient(f64({rows, 1}, x), f64({1}, {0.7}), 0.1)[0], -0.5, 0.002);
}

TEST_P(L0Penalty, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor x = random_tensor(device_, {rows, cols}, Dtype::f32, 1);
      const Tensor threshold = f32({cols}, std::vector<float>(static_cast<size_t>(cols), 0.25f));
      EXPECT_NEAR(number(l0_penalty(x, threshold, 0.5)),
                  number(l0_penalty(x.to(Dtype::f64), threshold.to(Dtype::f64), 0.5)), 1e-4);
      EXPECT_LT(worst_difference(threshold_gradient(x, threshold, 0.5),
                                 threshold_gradient(x.to(Dtype::f64), threshold.to(Dtype::f64), 0.5)),
                1e-6);
    }
  }
}

TEST_F(L0PenaltyOnCpu, SameBitsWithAnyNumberOfThreads) {
  const Tensor x = random_tensor(device_, {100, 2000}, Dtype::f32, 1);
  const Tensor threshold = f32({2000}, std::vector<float>(2000, 0.25f));
  const int before = threads();
  set_threads(1);
  const auto one = threshold_gradient(x, threshold, 0.5);
  set_threads(3);
  EXPECT_EQ(threshold_gradient(x, threshold, 0.5), one);
  set_threads(before);
}

TEST_P(L0Penalty, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      const Tensor x = exact_tensor(device, {rows, cols}, Dtype::f32, 1);
      Parameter threshold("threshold", exact_tensor(device, {cols}, Dtype::f32, 2));
      Tape tape;
      const Variable loss = l0_penalty(x, tape.watch(threshold), 0.5);
      tape.backward(loss);
      return std::vector<Value>{loss.value, materialize(threshold.gradient, device, {cols}, Dtype::f32)};
    });
  });
}

TEST_P(L0Penalty, Refusals) {
  const Tensor x = f32({1, 2}, {1, 2});
  EXPECT_REFUSED(l0_penalty(x, f32({1}, {1}), 0.1), "l0_penalty: f32 [1, 2] with thresholds f32 [1]");
  EXPECT_REFUSED(l0_penalty(x, f32({2}, {1, 1}), 0), "l0_penalty: bandwidth 0");
  EXPECT_REFUSED(l0_penalty(x.to(Dtype::bf16), f32({2}, {1, 1}).to(Dtype::bf16), 0.1), "l0_penalty: expected f32 or");
}

}  // namespace
}  // namespace sae
