#include "engine/simd.h"

#include <cstring>

#include "engine/row_kernels.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using namespace sae::testing;

class Simd : public CpuTest {};

TEST_F(Simd, BfloatProductsComeWithTheWidestRegisters) {
  if (has_bf16_products()) {
    EXPECT_EQ(simd_level(), SimdLevel::avx512);
  }
}

#if defined(__x86_64__)

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Every variant that this processor can run, against the one that any processor can.
TEST_F(Simd, EveryInstructionSetGivesTheSameBits) {
  for (int64_t width = 0; width < 300; width += width < 70 ? 1 : 13) {
    const Tensor a = random_tensor(device_, {width}, Dtype::f32, 1), b = random_tensor(device_, {width}, Dtype::f32, 2);
    const Tensor matrix = random_tensor(device_, {5, width}, Dtype::f32, 3);
    const std::vector<float> weights = {0.3f, -1.7f, 0, 2.9f};
    const std::vector<int32_t> rows = {4, 0, 1, 4};
    const auto run = [&](auto dot_of, auto weighted, auto paired) {
      std::vector<float> out(static_cast<size_t>(width) + 1 + rows.size());
      weighted(weights.data(), rows.data(), 4, matrix.data<float>(), width, out.data(), 0);
      out[static_cast<size_t>(width)] = dot_of(a.data<float>(), b.data<float>(), width);
      paired(matrix.data<float>(), rows.data(), matrix.data<float>(), rows.data() + 1, 3, width, &out.back() - 3);
      return out;
    };
    const std::vector<float> expected = run(baseline::dot, baseline::weighted_rows, baseline::paired_dots);
    if (simd_level() >= SimdLevel::avx2) {
      EXPECT_TRUE(same_bits(run(avx2::dot, avx2::weighted_rows, avx2::paired_dots), expected)) << width;
    }
    if (simd_level() >= SimdLevel::avx512) {
      EXPECT_TRUE(same_bits(run(avx512::dot, avx512::weighted_rows, avx512::paired_dots), expected)) << width;
    }
  }
}

#endif

}  // namespace
}  // namespace sae
