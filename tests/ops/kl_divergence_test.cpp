#include "ops/kl_divergence/kl_divergence.h"

#include "ops/kl_divergence/kl_divergence_cpu.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;

class KlDivergence : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, KlDivergence, testing::every_device, testing::device_name);

class KlDivergenceOnCpu : public testing::CpuTest {};

TEST_P(KlDivergence, ValuesByHand) {
  // p 1/4, 3/4 and q 1/2, 1/2; then the other way round; then equal rows, shifted
  const double log3 = std::log(3.0);
  const Tensor p = f64({3, 2}, {0, log3, 5, 5, 1, 2}), q = f64({3, 2}, {7, 7, 0, log3, 11, 12});
  const auto d = kl_divergence(p, q).to_vector<double>();
  EXPECT_DOUBLE_EQ(d[0], 0.25 * std::log(0.5) + 0.75 * std::log(1.5));
  EXPECT_DOUBLE_EQ(d[1], 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3));
  EXPECT_NEAR(d[2], 0, 1e-15);
}

TEST_P(KlDivergence, EqualRowsGiveExactlyZero) {
  const Tensor x = random_tensor(device_, {3, 1001}, Dtype::f32, 5);
  EXPECT_EQ(kl_divergence(x, x).to_vector<float>(), (std::vector<float>{0, 0, 0}));
}

TEST_P(KlDivergence, HugeScores) {
  const auto d = kl_divergence(f32({1, 2}, {1e4f, 0}), f32({1, 2}, {0, 1e4f})).to_vector<float>();
  EXPECT_EQ(d[0], 1e4f);
}

TEST_P(KlDivergence, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    if (GetParam() == DeviceKind::simt && rows > 1 && rows != 33) continue;  // a block of 256 fibers for each row
    for (const int64_t classes : {1, 2, 15, 16, 17, 31, 32, 33, 257, 5000}) {
      const Tensor p = random_tensor(device_, {rows, classes}, Dtype::f64, 5);
      const Tensor q = random_tensor(device_, {rows, classes}, Dtype::f64, 6);
      const auto expected = to_double(kl_divergence(p, q));
      const auto actual = to_double(kl_divergence(p.to(Dtype::f32), q.to(Dtype::f32)));
      ASSERT_EQ(actual.size(), static_cast<size_t>(rows));
      for (size_t r = 0; r < expected.size(); ++r) EXPECT_NEAR(actual[r], expected[r], 3e-6) << classes;
    }
  }
}

TEST_F(KlDivergenceOnCpu, EveryInstructionSetGivesTheSameBits) {
  const auto p = random_tensor(device_, {1, 5003}, Dtype::f32, 6).to_vector<float>();
  const auto q = random_tensor(device_, {1, 5003}, Dtype::f32, 7).to_vector<float>();
  const auto sums_of = [&](auto divergence_sums) {
    std::vector<float> sums(3);
    divergence_sums(p.data(), q.data(), static_cast<int64_t>(p.size()), 1.25f, 0.5f, sums.data());
    return sums;
  };
  const auto expected = sums_of(baseline::divergence_sums);
#if defined(__x86_64__)
  if (simd_level() >= SimdLevel::avx2) {
    EXPECT_EQ(sums_of(avx2::divergence_sums), expected);
  }
  if (simd_level() >= SimdLevel::avx512) {
    EXPECT_EQ(sums_of(avx512::divergence_sums), expected);
  }
#endif
  EXPECT_GT(expected[0], 0);
}

TEST_P(KlDivergence, Refusals) {
  const Tensor x = f32({1, 3}, {1, 2, 3});
  EXPECT_REFUSED(kl_divergence(x, f32({1, 2}, {1, 2})), "kl_divergence: expected two tensors of one dtype and shape");
  EXPECT_REFUSED(kl_divergence(x, x.to(Dtype::f64)), "kl_divergence: expected two tensors of one dtype and shape");
  EXPECT_REFUSED(kl_divergence(x.to(Dtype::bf16), x.to(Dtype::bf16)), "kl_divergence");
  Tape tape;
  Parameter parameter("x", x);
  EXPECT_REFUSED(kl_divergence(tape.watch(parameter), x), "kl_divergence: it has no backward");
}

}  // namespace
}  // namespace sae
