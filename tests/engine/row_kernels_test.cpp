#include "engine/row_kernels.h"

#include <limits>

#include "tests/support/tensors.h"

namespace sae {
namespace {

using namespace sae::testing;

class RowKernels : public CpuTest {
 protected:
  static constexpr int64_t widths[] = {0, 1, 15, 16, 17, 31, 33, 63, 64, 65, 191, 192, 193, 257, 576};
};

TEST_F(RowKernels, DotAgainstDouble) {
  for (const int64_t width : widths) {
    const Tensor a = random_tensor(device_, {width}, Dtype::f32, 1), b = random_tensor(device_, {width}, Dtype::f32, 2);
    double expected = 0;
    for (int64_t i = 0; i < width; ++i) expected += double{a.data<float>()[i]} * double{b.data<float>()[i]};
    EXPECT_NEAR(dot(a.data<float>(), b.data<float>(), width), expected, 1e-5) << width;
    const Tensor a64 = a.to(Dtype::f64), b64 = b.to(Dtype::f64);
    EXPECT_EQ(dot(a64.data<double>(), b64.data<double>(), width), expected);
  }
}

TEST_F(RowKernels, DotCountsEveryElementOnce) {
  for (const int64_t width : widths) {
    if (width == 0 || width > 257) continue;
    std::vector<float> ones(static_cast<size_t>(width), 1.0f), marked(static_cast<size_t>(width), 0.0f);
    for (size_t i = 0; i < marked.size(); ++i) {
      marked[i] = 3;
      EXPECT_EQ(dot(ones.data(), marked.data(), width), 3) << width << " " << i;
      marked[i] = 0;
    }
  }
}

TEST_F(RowKernels, WeightedRowsAgainstDouble) {
  for (const int64_t width : widths) {
    for (const int64_t count : {0, 1, 2, 33}) {
      const Tensor weights = random_tensor(device_, {count}, Dtype::f32, 1);
      const Tensor matrix = random_tensor(device_, {10, width}, Dtype::f32, 2);
      std::vector<int32_t> rows;
      for (int64_t j = 0; j < count; ++j) rows.push_back(static_cast<int32_t>((j * 7 + 3) % 10));
      // Filled with something, because the result must not depend on it.
      std::vector<float> out(static_cast<size_t>(width), 99.0f);
      std::vector<double> reference(static_cast<size_t>(width), 99.0);
      weighted_rows(weights.data<float>(), rows.data(), count, matrix.data<float>(), width, out.data());
      weighted_rows(weights.to(Dtype::f64).data<double>(), rows.data(), count, matrix.to(Dtype::f64).data<double>(),
                    width, reference.data());
      for (int64_t i = 0; i < width; ++i) {
        double expected = 0;
        for (int64_t j = 0; j < count; ++j) {
          expected +=
              double{weights.data<float>()[j]} * double{matrix.data<float>()[rows[static_cast<size_t>(j)] * width + i]};
        }
        ASSERT_EQ(reference[static_cast<size_t>(i)], expected);
        ASSERT_NEAR(out[static_cast<size_t>(i)], expected, 1e-5) << width << " " << count;
      }
    }
  }
}

TEST_F(RowKernels, PairedDotsAreTheDotsOfThePairs) {
  const std::vector<std::vector<int32_t>> rights = {{}, {4}, {0, 0, 1, 1, 1, 2, 3, 4, 4}, {9, 3, 3, 9, 0, 1, 0, 1, 9}};
  for (const int64_t width : widths) {
    const Tensor a = random_tensor(device_, {6, width}, Dtype::f32, 1);
    const Tensor b = random_tensor(device_, {10, width}, Dtype::f32, 2);
    for (const std::vector<int32_t>& right : rights) {
      std::vector<int32_t> left;
      for (size_t i = 0; i < right.size(); ++i) left.push_back(static_cast<int32_t>(i * 5 % 6));
      std::vector<float> found(right.size(), 99.0f);
      paired_dots(a.data<float>(), left.data(), b.data<float>(), right.data(), static_cast<int64_t>(right.size()),
                  width, found.data());
      for (size_t i = 0; i < right.size(); ++i) {
        EXPECT_EQ(found[i], dot(a.data<float>() + left[i] * width, b.data<float>() + right[i] * width, width)) << i;
      }
    }
  }
}

TEST_F(RowKernels, RowsOfWeightZeroAreNotRead) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t width : {1, 16, 64, 192, 257}) {
    std::vector<float> matrix(static_cast<size_t>(2 * width), nan);
    std::fill_n(matrix.begin() + width, width, 2.0f);
    const float weights[] = {0, 3};
    const int32_t rows[] = {0, 1};
    std::vector<float> out(static_cast<size_t>(width));
    weighted_rows(weights, rows, 2, matrix.data(), width, out.data());
    EXPECT_EQ(out, std::vector<float>(static_cast<size_t>(width), 6.0f));
  }
}

}  // namespace
}  // namespace sae
