#include "ops/topk/topk.h"

#include <limits>

#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "ops/topk/topk_cpu.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

class Topk : public testing::DeviceTest {
 protected:
  static RowSparse sparse(const Variable& v) { return std::get<RowSparse>(v.value); }
  static std::vector<int32_t> columns(const Variable& v) { return sparse(v).columns.index().to_vector<int32_t>(); }
};
INSTANTIATE_TEST_SUITE_P(Devices, Topk, testing::every_device, testing::device_name);

TEST_P(Topk, ValuesByHandInColumnOrder) {
  const Variable y = topk(f32({2, 4}, {1, -2, 5, 3, -4, -1, -3, -2}), 2);
  EXPECT_EQ(columns(y), (std::vector<int32_t>{2, 3, 1, 3}));
  EXPECT_EQ(sparse(y).values.to_vector<float>(), (std::vector<float>{5, 3, -1, -2}));  // signed: negatives are kept
  EXPECT_EQ(sparse(y).cols, 4);
}

class KeepTopk : public testing::DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, KeepTopk, testing::every_device, testing::device_name);

TEST_P(KeepTopk, IsTheSameChoiceAmongZeros) {
  EXPECT_EQ(std::get<Tensor>(keep_topk(f32({2, 4}, {1, -2, 5, 3, -4, -1, -3, -2}), 2).value).to_vector<float>(),
            (std::vector<float>{0, 0, 5, 3, 0, -1, 0, -2}));
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const int64_t cols : {1, 33, 257}) {
      const Tensor x = testing::random_tensor(device_, {17, cols}, dtype, 3);
      for (const int64_t k : {int64_t{1}, (cols + 1) / 2, cols}) {
        EXPECT_EQ(testing::to_double(std::get<Tensor>(keep_topk(x, k).value)), testing::dense_values(topk(x, k).value));
      }
    }
  }
  Parameter x = testing::random_parameter(device_, "x", {5, 9}, 1);
  EXPECT_LT(testing::gradient_error({&x}, [&](Tape& tape) { return keep_topk(tape.watch(x), 3); }),
            testing::gradient_tolerance);
  EXPECT_REFUSED(keep_topk(f32({1, 2}, {1, 2}), 3), "topk: expected 1 <= k <= 2");
}

TEST_P(KeepTopk, EqualBitsOnEveryDevice) {
  testing::for_edge_shapes([&](int64_t rows, int64_t cols) {
    if (cols == 0) return;
    testing::expect_equal_bits(device_, [&](Device& device) {
      Parameter x("x", testing::exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      Tape tape;
      const Variable y = keep_topk(tape.watch(x), (cols + 1) / 2);
      tape.backward(y, testing::exact_tensor(device, {rows, cols}, Dtype::f32, 2));
      return std::vector<Value>{y.value, materialize(x.gradient, device, {rows, cols}, Dtype::f32)};
    });
  });
}

TEST_P(Topk, TiesGoToTheLowerColumn) {
  EXPECT_EQ(columns(topk(f32({1, 6}, {7, 1, 7, 7, 1, 7}), 3)), (std::vector<int32_t>{0, 2, 3}));
  // Rows long enough for the filter: all equal, and one value above many ties.
  std::vector<float> equal(4096, 0.25f);
  const auto first_32 = [] {
    std::vector<int32_t> v(32);
    for (int32_t i = 0; i < 32; ++i) v[static_cast<size_t>(i)] = i;
    return v;
  }();
  EXPECT_EQ(columns(topk(f32({1, 4096}, equal), 32)), first_32);
  equal[4000] = 1;
  auto expected = first_32;
  expected.back() = 4000;
  EXPECT_EQ(columns(topk(f32({1, 4096}, equal), 32)), expected);
}

/// The fast path against the reference in double, on the same (float) numbers.
void expect_reference(const Tensor& x, int64_t k) {
  const RowSparse fast = std::get<RowSparse>(topk(x, k).value);
  const RowSparse reference = std::get<RowSparse>(topk(x.to(Dtype::f64), k).value);
  EXPECT_EQ(fast.columns.index().to_vector<int32_t>(), reference.columns.index().to_vector<int32_t>())
      << x.describe() << " k " << k;
  EXPECT_EQ(testing::to_double(fast.values), testing::to_double(reference.values));
}

TEST_P(Topk, FilterChoosesTheReferenceSet) {
  for (const int64_t cols : {1, 31, 32, 33, 257, 1000, 4096, 5003}) {
    for (const int64_t k : {1, 8, 32, 128, 512}) {
      if (k <= cols) expect_reference(testing::random_tensor(device_, {17, cols}, Dtype::f32, 3), k);
    }
  }
}

TEST_P(Topk, FilterOnAdversarialRows) {
  const int64_t cols = 4096 + 5;
  std::vector<float> rising, falling, few_values, zeros(static_cast<size_t>(cols), 0.0f);
  const Philox random(5, 0);
  for (int64_t i = 0; i < cols; ++i) {
    rising.push_back(static_cast<float>(i));
    falling.push_back(static_cast<float>(-i));
    few_values.push_back(static_cast<float>(random.below(static_cast<uint64_t>(i), 4)));
    if (i % 2 == 1) zeros[static_cast<size_t>(i)] = -0.0f;
  }
  for (const auto& row : {rising, falling, few_values, zeros}) {
    for (const int64_t k : {1, 32, 200}) expect_reference(f32({1, cols}, row), k);
  }
}

class TopkOnCpu : public testing::CpuTest {};

TEST_F(TopkOnCpu, SameBitsForAnyNumberOfThreads) {
  const Tensor x = testing::random_tensor(device_, {100, 2048}, Dtype::f32, 7);
  const int before = threads();
  set_threads(1);
  const RowSparse one = std::get<RowSparse>(topk(x, 16).value);
  set_threads(2);
  const RowSparse two = std::get<RowSparse>(topk(x, 16).value);
  set_threads(before);
  EXPECT_EQ(one.columns.index().to_vector<int32_t>(), two.columns.index().to_vector<int32_t>());
  EXPECT_EQ(one.values.to_vector<float>(), two.values.to_vector<float>());
}

TEST_P(Topk, EqualBitsOnEveryDevice) {
  testing::for_edge_shapes([&](int64_t rows, int64_t cols) {
    for (const int64_t k : {int64_t{1}, (cols + 1) / 2, cols}) {
      if (k < 1 || k > cols) continue;
      testing::expect_equal_bits(device_, [&](Device& device) {  // multiples of 1/16 have many ties
        return std::vector<Value>{topk(testing::exact_tensor(device, {rows, cols}, Dtype::f32, 1), k).value};
      });
    }
  });
}

TEST_P(Topk, Gradient) {
  for (const int64_t rows : {1, 5}) {
    for (const int64_t k : {1, 3, 7}) {
      Parameter x = testing::random_parameter(device_, "x", {rows, 7}, 11);
      EXPECT_LT(testing::gradient_error({&x}, [&](Tape& tape) { return topk(tape.watch(x), k); }),
                testing::gradient_tolerance);
    }
  }
}

TEST_P(Topk, GradientMustHaveTheSameColumns) {
  Parameter x = testing::random_parameter(device_, "x", {2, 5}, 1);
  Tape tape;
  const Variable y = topk(tape.watch(x), 2);
  EXPECT_REFUSED(tape.backward(y, Value(testing::random_row_sparse(device_, 2, 5, 2, Dtype::f64, 1))), "topk backward");
}

TEST_P(Topk, NoRows) { EXPECT_EQ(sparse(topk(f32({0, 8}, {}), 3)).columns.rows(), 0); }

TEST_P(Topk, Refusals) {
  const Tensor x = f32({1, 3}, {1, 2, 3});
  EXPECT_REFUSED(topk(x, 0), "topk: expected 1 <= k <= 3");
  EXPECT_REFUSED(topk(x, 4), "topk");
  EXPECT_REFUSED(topk(i32({1, 2}, {1, 2}), 1), "topk");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const int64_t cols : {8, 4096 + 3}) {
      for (const int64_t at : {int64_t{0}, cols / 2, cols - 1}) {
        std::vector<float> values(static_cast<size_t>(2 * cols), 0.5f);
        values[static_cast<size_t>(cols + at)] = bad;
        EXPECT_REFUSED(topk(f32({2, cols}, values), 4), "topk: row 1");
        EXPECT_THROW(topk(f32({2, cols}, values), 4), NotFinite);
      }
    }
  }
}

}  // namespace
}  // namespace sae
