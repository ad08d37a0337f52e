#include "engine/philox.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/parallel.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using namespace sae::testing;
using Block = std::array<uint32_t, 4>;

// The known-answer vectors that the authors of Philox publish with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox(0, 0).block(0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint64_t ones = ~uint64_t{0};
  EXPECT_EQ(Philox(ones, ones).block(ones), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0.
  EXPECT_EQ(Philox(0x299f31d0a4093822, 0x0370734413198a2e).block(0x85a308d3243f6a88),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, DrawsArePureFunctionsOfSeedStreamAndPosition) {
  const Philox random(7, 3);
  EXPECT_EQ(random.word(9), random.block(2)[1]);
  EXPECT_EQ(random.uniform(9), Philox(7, 3).uniform(9));
  EXPECT_NE(random.word(9), Philox(8, 3).word(9));
  EXPECT_NE(random.word(9), Philox(7, 4).word(9));
}

TEST(Philox, UniformMomentsAndRange) {
  const Philox random(1, 0);
  constexpr int count = 100000;
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const double u = random.uniform(i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / count, 0.5, 0.004);  // more than four standard errors
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.004);
}

TEST(Philox, NormalMoments) {
  const Philox random(2, 0);
  constexpr int count = 100000;
  double sum = 0, squares = 0, fourth = 0, neighbours = 0, previous = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const double x = random.normal(i);
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    neighbours += x * previous;
    previous = x;
  }
  EXPECT_NEAR(sum / count, 0, 0.015);
  EXPECT_NEAR(squares / count, 1, 0.02);
  EXPECT_NEAR(fourth / count, 3, 0.15);
  EXPECT_NEAR(neighbours / count, 0, 0.015);
}

TEST(Philox, BelowCoversItsRangeEvenly) {
  const Philox random(3, 0);
  std::vector<int> hits(7, 0);
  for (uint64_t i = 0; i < 70000; ++i) ++hits.at(random.below(i, 7));
  for (const int hit : hits) EXPECT_NEAR(hit, 10000, 400);
  EXPECT_EQ(random.below(5, 1), 0u);
  EXPECT_REFUSED(random.below(0, 0), "random: a draw below 0");
}

class NormalTensor : public CpuTest {};

TEST_F(NormalTensor, HoldsTheDrawsInOrderWithAnyNumberOfThreads) {
  const Philox random(4, 1);
  const int before = threads();
  set_threads(3);
  const Tensor t = normal_tensor(device_, {100, 101}, Dtype::f64, random);
  set_threads(before);
  for (int64_t i = 0; i < t.elements(); ++i) ASSERT_EQ(t.data<double>()[i], random.normal(static_cast<uint64_t>(i)));
  EXPECT_EQ(normal_tensor(device_, {100, 101}, Dtype::f32, random).to_vector<float>(),
            t.to(Dtype::f32).to_vector<float>());
  EXPECT_REFUSED(normal_tensor(device_, {1}, Dtype::i32, random), "normal_tensor: expected f32 or f64");
}

TEST(Permutation, IsABijection) {
  for (const uint64_t count : {1u, 2u, 3u, 4u, 5u, 7u, 64u, 65u, 1000u, 4097u}) {
    const Permutation permutation(count, 5, 6);
    std::set<uint64_t> images;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t image = permutation(i);
      ASSERT_LT(image, count);
      images.insert(image);
    }
    EXPECT_EQ(images.size(), count);
  }
}

TEST(Permutation, ShufflesAndDependsOnSeedAndStream) {
  constexpr uint64_t count = 10000;
  const Permutation permutation(count, 5, 6), other_seed(count, 6, 6), other_stream(count, 5, 7);
  uint64_t fixed = 0, same_seed = 0, same_stream = 0, ascents = 0;
  for (uint64_t i = 0; i < count; ++i) {
    fixed += permutation(i) == i;
    same_seed += permutation(i) == other_seed(i);
    same_stream += permutation(i) == other_stream(i);
    if (i > 0) ascents += permutation(i) > permutation(i - 1);
  }
  // A random permutation has one fixed point on average, and rises at every second step.
  EXPECT_LT(fixed, 12u);
  EXPECT_LT(same_seed, 12u);
  EXPECT_LT(same_stream, 12u);
  EXPECT_NEAR(static_cast<double>(ascents), count / 2.0, 300);
}

TEST(Permutation, Refusals) {
  EXPECT_REFUSED(Permutation(3, 0, 0)(3), "permutation: position 3 of 3");
  EXPECT_REFUSED(Permutation(0, 0, 0)(0), "permutation: position 0 of 0");
}

}  // namespace
}  // namespace sae
