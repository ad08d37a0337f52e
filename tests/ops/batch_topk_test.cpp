#include "ops/batch_topk/batch_topk.h"

#include <limits>
#include <numeric>

#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

CompressedRows chosen(const Variable& y) { return std::get<CompressedRows>(y.value); }

/// The chosen set by sorting everything.
std::vector<double> reference(const Tensor& x, int64_t k) {
  const std::vector<double> values = to_double(x);
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  std::vector<double> kept(values.size(), 0.0);
  for (size_t i = 0; i < static_cast<size_t>(k * x.rows()); ++i) kept[order[i]] = values[order[i]];
  return kept;
}

class BatchTopk : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, BatchTopk, every_device, device_name);

class BatchTopkOnCpu : public CpuTest {};

TEST_P(BatchTopk, ValuesByHand) {
  const CompressedRows y = chosen(batch_topk(f32({3, 3}, {1, -2, 5, -3, -4, -5, 7, 6, 8}), 2));
  EXPECT_EQ(y.offsets.to_vector<int64_t>(), (std::vector<int64_t>{0, 3, 3, 6}));  // rows take what they need
  EXPECT_EQ(y.index.to_vector<int32_t>(), (std::vector<int32_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(y.values.to_vector<float>(), (std::vector<float>{1, -2, 5, 7, 6, 8}));  // signed: negatives are kept
}

TEST_P(BatchTopk, TiesGoToTheLowerRowThenColumn) {
  const CompressedRows y = chosen(batch_topk(f32({3, 2}, {1, 1, 1, 2, 1, 1}), 1));
  EXPECT_EQ(y.offsets.to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 3, 3}));
  const CompressedRows zeros = chosen(batch_topk(f32({2, 2}, {-0.0f, 0, 0, -0.0f}), 1));
  EXPECT_EQ(zeros.offsets.to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 2}));
}

TEST_P(BatchTopk, ChoosesTheReferenceSet) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : {1, 31, 257}) {
      for (const int64_t k : {int64_t{1}, std::min<int64_t>(8, cols), cols}) {
        Tensor x = random_tensor(device_, {rows, cols}, Dtype::f32, 3);
        EXPECT_EQ(dense_values(batch_topk(x, k).value), reference(x, k)) << x.describe() << " k " << k;
        EXPECT_EQ(dense_values(batch_topk(x.to(Dtype::f64), k).value), reference(x, k)) << x.describe() << " k " << k;
        EXPECT_EQ(chosen(batch_topk(x, k)).stored(), k * rows);
        std::vector<float> few = x.to_vector<float>();  // many ties
        for (size_t i = 0; i < few.size(); ++i) few[i] = std::round(few[i]);
        x = f32({rows, cols}, few);
        EXPECT_EQ(dense_values(batch_topk(x, k).value), reference(x, k)) << "with ties, " << x.describe() << " k " << k;
        EXPECT_EQ(chosen(batch_topk(x, k)).stored(), k * rows);
      }
    }
  }
}

TEST_F(BatchTopkOnCpu, ManyChunksOnAnyNumberOfThreads) {
  const Tensor x = random_tensor(device_, {700, 1000}, Dtype::f32, 7);
  const int before = threads();
  set_threads(1);
  const CompressedRows one = chosen(batch_topk(x, 16));
  set_threads(3);
  const CompressedRows three = chosen(batch_topk(x, 16));
  set_threads(before);
  EXPECT_EQ(one.stored(), 700 * 16);
  EXPECT_EQ(one.offsets.to_vector<int64_t>(), three.offsets.to_vector<int64_t>());
  EXPECT_EQ(one.index.to_vector<int32_t>(), three.index.to_vector<int32_t>());
  EXPECT_EQ(dense_values(one), reference(x, 16));
}

TEST_P(BatchTopk, Gradient) {
  for (const int64_t k : {1, 3, 7}) {
    Parameter x = random_parameter(device_, "x", {5, 7}, 11);
    EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return batch_topk(tape.watch(x), k); }), gradient_tolerance);
  }
}

TEST_P(BatchTopk, EqualBitsOnEveryDevice) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : {1, 33, 257}) {
      for (const int64_t k : {int64_t{1}, std::min<int64_t>(8, cols), cols}) {
        for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
          expect_equal_bits(device_, [&](Device& device) {  // of few different values: many ties
            return std::vector<Value>{batch_topk(exact_tensor(device, {rows, cols}, dtype, 1), k).value};
          });
        }
      }
    }
  }
}

TEST_P(BatchTopk, Refusals) {
  const Tensor x = f32({1, 3}, {1, 2, 3});
  EXPECT_REFUSED(batch_topk(x, 0), "batch_topk: expected 1 <= k <= 3");
  EXPECT_REFUSED(batch_topk(x, 4), "batch_topk");
  EXPECT_REFUSED(batch_topk(i32({1, 2}, {1, 2}), 1), "batch_topk: expected f32 or f64");
  EXPECT_REFUSED(batch_topk(Value(random_row_sparse(device_, 2, 4, 2, Dtype::f32, 1)), 1),
                 "batch_topk: expected a dense");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    EXPECT_REFUSED(batch_topk(f32({2, 2}, {1, 2, bad, 3}), 1), "batch_topk: row 1");
    EXPECT_THROW(batch_topk(f32({2, 2}, {1, 2, bad, 3}), 1), NotFinite);
  }
  Parameter p("x", x.clone());
  Tape tape;
  EXPECT_REFUSED(tape.backward(batch_topk(tape.watch(p), 1), x), "batch_topk backward: compressed rows");
}

}  // namespace
}  // namespace sae
