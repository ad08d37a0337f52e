#include "ops/cross_entropy/cross_entropy.h"

#include <bit>

#include "ops/cross_entropy/cross_entropy_cpu.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;

class CrossEntropy : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, CrossEntropy, testing::every_device, testing::device_name);

class CrossEntropyOnCpu : public testing::CpuTest {};

TEST_P(CrossEntropy, ValuesByHand) {
  const double log3 = std::log(3.0);
  // probabilities 1/4, 3/4; a uniform row; a row without target
  const Tensor x = f64({4, 2}, {0, log3, 7, 7, 0, log3, 1, 2});
  const auto loss = cross_entropy(x, i32({4}, {0, 1, 1, no_target})).to_vector<double>();
  EXPECT_DOUBLE_EQ(loss[0], std::log(4.0));
  EXPECT_DOUBLE_EQ(loss[1], std::log(2.0));
  EXPECT_DOUBLE_EQ(loss[2], std::log(4.0 / 3));
  EXPECT_EQ(loss[3], 0);
}

TEST_P(CrossEntropy, HugeLogits) {
  const auto loss = cross_entropy(f32({2, 2}, {1e4f, 0, -1e30f, 1e30f}), i32({2}, {1, 1})).to_vector<float>();
  EXPECT_EQ(loss[0], 1e4f);
  EXPECT_EQ(loss[1], 0);
}

TEST_P(CrossEntropy, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    if (GetParam() == DeviceKind::simt && rows > 1 && rows != 33) continue;  // a block of 256 fibers for each row
    for (const int64_t classes : {1, 2, 15, 16, 17, 31, 32, 33, 257, 5000}) {
      const Tensor x = random_tensor(device_, {rows, classes}, Dtype::f64, 5);
      std::vector<int32_t> target;
      for (int64_t r = 0; r < rows; ++r) target.push_back(static_cast<int32_t>((r * 7) % classes));
      const Tensor wanted = i32({rows}, target);
      const auto expected = to_double(cross_entropy(x, wanted));
      const auto actual = to_double(cross_entropy(x.to(Dtype::f32), wanted));
      for (size_t r = 0; r < expected.size(); ++r) EXPECT_NEAR(actual[r], expected[r], 2e-6) << classes;
    }
  }
}

// The polynomial behind every softmax and gate, in each instruction set that this processor has: within two units in
// the last place of e^x over the whole range of normal results.
template <class Sum>
void check_exponential(Sum sum_of_exp) {
  double worst = 0;
  for (float x = -87.3f; x < 88.7f; x += 0.00137f) {
    const double expected = std::exp(static_cast<double>(x));
    const auto rounded = static_cast<float>(expected);
    const double unit = static_cast<double>(std::nextafter(rounded, std::numeric_limits<float>::infinity())) -
                        static_cast<double>(rounded);
    worst = std::max(worst, std::abs(static_cast<double>(sum_of_exp(&x, 1, 0.0f)) - expected) / unit);
  }
  EXPECT_LT(worst, 2);
  EXPECT_GT(worst, 0.5);  // a float result cannot be better than this: the comparison looks at something
  const auto of = [&](float x) { return sum_of_exp(&x, 1, 0.0f); };
  EXPECT_EQ(of(0), 1);
  EXPECT_EQ(of(-std::numeric_limits<float>::infinity()), 0);
  EXPECT_EQ(of(-1000), 0);
  EXPECT_EQ(of(std::numeric_limits<float>::infinity()), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(of(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_NEAR(of(-95.0f), std::exp(-95.0), 2e-45);  // a denormal
}

TEST_F(CrossEntropyOnCpu, Exponential) {
  check_exponential(baseline::sum_of_exp);
#if defined(__x86_64__)
  if (simd_level() >= SimdLevel::avx2) check_exponential(avx2::sum_of_exp);
  if (simd_level() >= SimdLevel::avx512) check_exponential(avx512::sum_of_exp);
#endif
}

TEST_F(CrossEntropyOnCpu, EveryInstructionSetGivesTheSameBits) {
  const auto x = random_tensor(device_, {1, 5003}, Dtype::f32, 6).to_vector<float>();
  const auto count = static_cast<int64_t>(x.size());
  const float expected = baseline::sum_of_exp(x.data(), count, 1.25f);
#if defined(__x86_64__)
  if (simd_level() >= SimdLevel::avx2) {
    EXPECT_EQ(avx2::sum_of_exp(x.data(), count, 1.25f), expected);
  }
  if (simd_level() >= SimdLevel::avx512) {
    EXPECT_EQ(avx512::sum_of_exp(x.data(), count, 1.25f), expected);
  }
#endif
  EXPECT_GT(expected, 0);
}

TEST_P(CrossEntropy, Refusals) {
  const Tensor x = f32({1, 3}, {1, 2, 3});
  EXPECT_REFUSED(cross_entropy(x, i32({1}, {3})), "cross_entropy: target 3 of row 0 with 3 classes");
  EXPECT_REFUSED(cross_entropy(x, i32({1}, {-2})), "cross_entropy: target -2");
  EXPECT_REFUSED(cross_entropy(x, i32({2}, {0, 0})), "cross_entropy: expected one i32 target a row");
  EXPECT_REFUSED(cross_entropy(x, i64({1}, {0})), "cross_entropy: expected one i32 target a row");
  EXPECT_REFUSED(cross_entropy(x.to(Dtype::bf16), i32({1}, {0})), "cross_entropy");
  Tape tape;
  Parameter parameter("x", x);
  EXPECT_REFUSED(cross_entropy(tape.watch(parameter), i32({1}, {0})), "cross_entropy: it has no backward");
}

}  // namespace
}  // namespace sae
