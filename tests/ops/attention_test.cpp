#include "ops/attention/attention.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;
using testing::worst_difference;

class Attention : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Attention, testing::every_device, testing::device_name);

TEST_P(Attention, ValuesByHand) {
  // One head of one element, one context of two. Position 0 sees itself: y = 5. Position 1: scores 2 * 0 and 2 * log 3
  // / 2, weights 1/4 and 3/4 of the values 5 and 9.
  const AttentionSizes sizes{1, 1, 1};
  const double log3 = std::log(3.0);
  const Tensor qkv = f64({2, 3}, {1, 0, 5, 2, log3 / 2, 9});
  const auto y = attention(qkv, sizes, 2, Dtype::f64).to_vector<double>();
  EXPECT_DOUBLE_EQ(y[0], 5);
  EXPECT_DOUBLE_EQ(y[1], 8);
  // as two contexts of one position, each sees itself alone
  EXPECT_THAT(attention(qkv, sizes, 1, Dtype::f64).to_vector<double>(), ::testing::ElementsAre(5, 9));
}

TEST_P(Attention, QueryHeadsShareKeysAndValues) {
  // four query heads over two key/value heads: heads 0 and 1 read value head 0, heads 2 and 3 value head 1
  const AttentionSizes sizes{4, 2, 1};
  const Tensor qkv = f64({1, 8}, {1, 2, 3, 4, 0.5, 0.25, 10, 20});
  EXPECT_THAT(attention(qkv, sizes, 1, Dtype::f64).to_vector<double>(), ::testing::ElementsAre(10, 10, 20, 20));
}

TEST_P(Attention, ScaleIsOneOverTheRootOfTheHeadSize) {
  // head of four elements: q . k = 4 log 3, divided by 2, against 0: weights 9/10 and 1/10
  const double log3 = std::log(3.0);
  const Tensor qkv = f64({2, 12}, {0, 0, 0, 0, log3, log3, log3, log3, 1, 1, 1, 1,  //
                                   1, 1, 1, 1, 0,    0,    0,    0,    0, 0, 0, 2});
  const auto y = attention(qkv, {1, 1, 4}, 2, Dtype::f64).to_vector<double>();
  EXPECT_DOUBLE_EQ(y[4], 0.9);
  EXPECT_DOUBLE_EQ(y[7], 1.1);
}

TEST_P(Attention, AScaleOfItsOwn) {
  // q . k = log 3 times 2: weights 1/10 and 9/10
  const Tensor qkv = f64({2, 3}, {1, 0, 5, 1, std::log(3.0), 15});
  EXPECT_DOUBLE_EQ(attention(qkv, {1, 1, 1, 0, 2.0}, 2, Dtype::f64).to_vector<double>()[1], 14);
}

TEST_P(Attention, AWindowEndsWithThePositionItself) {
  // equal scores: the mean of the values in the window
  const Tensor qkv = f64({5, 3}, {0, 0, 1, 0, 0, 2, 0, 0, 6, 0, 0, 10, 0, 0, 20});
  EXPECT_THAT(attention(qkv, {1, 1, 1, 2}, 5, Dtype::f64).to_vector<double>(),
              ::testing::ElementsAre(1, 1.5, 4, 8, 15));
  EXPECT_THAT(attention(qkv, {1, 1, 1, 1}, 5, Dtype::f64).to_vector<double>(), ::testing::ElementsAre(1, 2, 6, 10, 20));
}

TEST_P(Attention, AWindowAsLongAsTheContextChangesNoBit) {
  const Tensor qkv = random_tensor(device_, {70, 96}, Dtype::f32, 6);
  const auto all = attention(qkv, {1, 1, 32}, 35, Dtype::f32).to_vector<float>();
  EXPECT_EQ(attention(qkv, {1, 1, 32, 35}, 35, Dtype::f32).to_vector<float>(), all);
  EXPECT_NE(attention(qkv, {1, 1, 32, 34}, 35, Dtype::f32).to_vector<float>(), all);
}

TEST_P(Attention, FloatAgainstDoubleAtEdgeSizes) {
  for (const AttentionSizes sizes : {AttentionSizes{9, 3, 64}, AttentionSizes{2, 2, 16}, AttentionSizes{4, 1, 80},
                                     AttentionSizes{2, 1, 32, 1}, AttentionSizes{2, 1, 16, 20, 0.7}}) {
    for (const int64_t length : {1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 64, 65, 257}) {
      if (GetParam() == DeviceKind::simt && length > 65) continue;  // three tiles of keys will do
      const int64_t contexts = length == 257 ? 1 : 3;
      const Tensor qkv =
          random_tensor(device_, {contexts * length, sizes.query_columns() + 2 * sizes.kv_columns()}, Dtype::f64, 3);
      const auto expected = to_double(attention(qkv, sizes, length, Dtype::f64));
      const Tensor fast = qkv.to(Dtype::f32);
      EXPECT_LT(worst_difference(to_double(attention(fast, sizes, length, Dtype::f32)), expected), 2e-6) << length;
      EXPECT_LT(worst_difference(to_double(attention(fast, sizes, length, Dtype::bf16)), expected), 1.0 / 256)
          << length;
    }
  }
}

TEST_P(Attention, LaterRowsDoNotChangeEarlierOnes) {
  const AttentionSizes sizes{3, 1, 32};
  const Tensor qkv = random_tensor(device_, {40, 160}, Dtype::f32, 4);
  const auto whole = attention(qkv, sizes, 40, Dtype::f32).to_vector<float>();
  for (const int64_t length : {1, 16, 17, 39}) {
    const auto start = attention(qkv.slice_rows(0, length), sizes, length, Dtype::f32).to_vector<float>();
    EXPECT_TRUE(std::equal(start.begin(), start.end(), whole.begin())) << length;
  }
}

TEST_P(Attention, LargeScoresDoNotOverflow) {
  std::vector<float> values(2 * 48, 0.0f);
  values[16] = 1e4f;       // key of position 0
  values[48] = 1e4f;       // query of position 1
  values[32] = 3.0f;       // value of position 0
  values[48 + 32] = 7.0f;  // value of position 1
  const auto y = attention(f32({2, 48}, values), {1, 1, 16}, 2, Dtype::f32).to_vector<float>();
  EXPECT_EQ(y[16], 3.0f);
}

TEST_P(Attention, StepsWithACacheGiveTheSameBits) {
  for (const AttentionSizes sizes : {AttentionSizes{6, 2, 32}, AttentionSizes{2, 1, 16, 19}}) {
    const Tensor qkv = random_tensor(device_, {70, sizes.query_columns() + 2 * sizes.kv_columns()}, Dtype::f32, 5);
    const Tensor expected = attention(qkv, sizes, 70, Dtype::f32);
    Writable cache = Tensor::empty(device_, {80, 2 * sizes.kv_columns()}, Dtype::f32);
    int64_t past = 0;
    for (const int64_t rows : {37, 1, 1, 5, 26}) {
      const Tensor y = attention_step(qkv.slice_rows(past, past + rows), sizes, cache, past, Dtype::f32);
      EXPECT_EQ(y.to_vector<float>(), expected.slice_rows(past, past + rows).to_vector<float>()) << past;
      past += rows;
    }
    EXPECT_REFUSED(attention_step(qkv.slice_rows(0, 11), sizes, cache, past, Dtype::f32), "11 rows after 70");
  }
}

TEST_P(Attention, CloseOnEveryDevice) {
  for (const AttentionSizes sizes : {AttentionSizes{6, 2, 64}, AttentionSizes{2, 1, 16, 20, 0.7}}) {
    testing::expect_close(device_, 2e-6, [&](Device& device) {
      const Tensor qkv = random_tensor(device, {130, sizes.query_columns() + 2 * sizes.kv_columns()}, Dtype::f32, 7);
      return std::vector<Value>{attention(qkv, sizes, 65, Dtype::f32)};
    });
  }
}

TEST_P(Attention, Refusals) {
  const Tensor qkv = f32({4, 48}, std::vector<float>(192, 0.0f));
  EXPECT_REFUSED(attention(qkv, {1, 1, 16}, 3, Dtype::f32), "attention: 4 rows are no whole number of contexts of 3");
  EXPECT_REFUSED(attention(qkv, {2, 1, 16}, 4, Dtype::f32), "attention: expected 32 + 2 * 16 columns");
  EXPECT_REFUSED(attention(qkv, {3, 2, 16}, 4, Dtype::f32), "attention: 3 query heads of 16 elements over 2");
  EXPECT_REFUSED(attention(f32({1, 3}, {1, 2, 3}), {1, 1, 1}, 1, Dtype::f32), "multiple of 16");
  EXPECT_REFUSED(attention(qkv, {1, 1, 16}, 4, Dtype::f64), "attention: an output of f64");
  EXPECT_REFUSED(attention(qkv, {1, 1, 16, -1}, 4, Dtype::f32), "attention: a window of -1 positions");
  Tape tape;
  Parameter parameter("qkv", qkv);
  EXPECT_REFUSED(attention(tape.watch(parameter), {1, 1, 16}, 4, Dtype::f32), "attention: it has no backward");
}

}  // namespace
}  // namespace sae
