#include "experiments/downstream/bigram_model.h"

#include <cmath>

#include "tests/support/tensors.h"

namespace sae {
namespace {

/// Contexts that stand in memory.
class Contexts final : public ContextSource {
 public:
  Contexts(std::vector<int32_t> ids, int64_t length) : ids_(std::move(ids)), length_(length) {}
  ContextBatch next(int64_t count) override {
    ContextBatch batch;
    for (; count > 0 && at_ < ids_.size(); --count) {
      const auto begin = ids_.begin() + static_cast<std::ptrdiff_t>(at_);
      batch.ids.insert(batch.ids.end(), begin, begin + length_);
      at_ += static_cast<size_t>(length_);
    }
    return batch;
  }
  int64_t total() const override { return -1; }
  std::string source_of(int32_t) const override { return ""; }

 private:
  std::vector<int32_t> ids_;
  int64_t length_;
  size_t at_ = 0;
};

TEST(BigramModel, CountsAreMixedWithFrequencies) {
  // 0 is followed by 1 twice and by 2 once, 1 by 0 and 2, 2 by nothing: contexts are not joined
  Contexts text({0, 1, 0, 1, 2, 0, 2, 1, 0, 1}, 5);
  BigramModel model(text, 5, 4);
  EXPECT_EQ(model.tokens(), 10);
  Contexts joined({0, 1, 0, 1, 2, 0, 2, 1, 0, 1}, 10);
  const double frequencies[] = {5.0 / 14, 5.0 / 14, 3.0 / 14, 1.0 / 14};  // one more of each than there is
  const double counts[4][4] = {{0, 3, 1, 0}, {2, 0, 1, 0}, {0, 1, 0, 0}, {0, 0, 0, 0}};
  for (int32_t token = 0; token < 4; ++token) {
    double sum = 0, alone = 0;
    for (const double count : counts[token]) alone += count;
    for (int32_t next = 0; next < 4; ++next) {
      EXPECT_NEAR(model.probability(token, next), (counts[token][next] + frequencies[next]) / (alone + 1), 1e-15);
      sum += model.probability(token, next);
    }
    EXPECT_NEAR(sum, 1, 1e-15);
  }
  EXPECT_GT(BigramModel(joined, 10, 4).probability(2, 0), model.probability(2, 0));

  const auto device = Device::open(DeviceKind::cpu);
  const std::vector<int32_t> ids = {3, 0, 1};
  const std::vector<float> scores = model.logits(ids, *device).to_vector<float>();
  ASSERT_EQ(scores.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_NEAR(scores[i], std::log(model.probability(ids[i / 4], static_cast<int32_t>(i % 4))), 1e-6);
  }
}

TEST(BigramModel, PseudoCountsAreChosenOnAnotherText) {
  // the pairs of the text hold in the first calibration text, and not at all in the second
  std::vector<int32_t> ids, others;
  for (int i = 0; i < 60; ++i) {
    ids.insert(ids.end(), {0, 1, 2, 3});
    others.insert(others.end(), {3, 2, 1, 0});
  }
  const auto pseudo_counts = [&](const std::vector<int32_t>& calibration, int64_t contexts, int64_t skip_positions) {
    Contexts text(ids, 4), other(calibration, 4);
    BigramModel model(text, 4, 4);
    model.smooth(other, contexts, skip_positions);
    return model.pseudo_counts();
  };
  EXPECT_EQ(pseudo_counts(ids, 0, 0), 1);
  EXPECT_EQ(pseudo_counts(others, 0, 0), 4096);
  // only what is asked for is looked at
  std::vector<int32_t> mixed = {0, 1, 2, 3};
  mixed.insert(mixed.end(), others.begin(), others.end());
  EXPECT_EQ(pseudo_counts(mixed, 1, 0), 1);
  EXPECT_EQ(pseudo_counts(mixed, 0, 0), 4096);
  EXPECT_EQ(pseudo_counts({3, 0, 1, 2}, 0, 1), 1);
}

TEST(BigramModel, RefusesTokensOutsideTheVocabulary) {
  Contexts text({0, 1, 4, 2}, 4);
  EXPECT_REFUSED(BigramModel(text, 4, 4), "token 4 of a vocabulary of 4");
}

}  // namespace
}  // namespace sae
