#include "experiments/toy_features/toy_runs.h"

#include <numeric>

#include "experiments/common/dictionary_match.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

class ToyFeatures : public testing::CpuTest {};

TEST_F(ToyFeatures, DataIsWhatItSays) {
  const ToyData data(device_, {.width = 16, .features = 24, .active = 3, .frequency_ratio = 4, .seed = 5});
  EXPECT_NEAR(std::accumulate(data.probabilities().begin(), data.probabilities().end(), 0.0), 3, 1e-12);
  EXPECT_NEAR(data.probabilities().front() / data.probabilities().back(), 4, 1e-12);
  EXPECT_EQ(data.batch(3, 10).to_vector<float>(), data.batch(3, 10).to_vector<float>());
  EXPECT_NE(data.batch(3, 10).to_vector<float>(), data.batch(4, 10).to_vector<float>());
  // Strengths have mean 1 and variance 1/4; features are independent: the sum of the variances of the coordinates.
  double expected = 0;
  for (const double p : data.probabilities()) expected += p * 1.25 - p * p;
  EXPECT_NEAR(data.variance() * 16, expected, 0.05 * expected);
  EXPECT_REFUSED(ToyData(device_, {.width = 4, .features = 2, .active = 3}), "more than always");
}

// The test that an autoencoder finds what is there.
TEST_F(ToyFeatures, TopkFindsTheDirections) {
  const ToyData data(device_, {.width = 16, .features = 24, .active = 2, .frequency_ratio = 2, .seed = 1});
  const AutoencoderOptions model{.width = 16, .latents = 24, .activation = Activation::topk, .k = 2, .k_aux = 8};
  Trainer trainer(
      Autoencoder::initialise(model, data.mean(), 1),
      {.learning_rate = 3e-3, .batch_size = 256, .steps = 4000, .dead_after = 5120, .mse_scale = 1 / data.variance()});
  const double before = match_dictionary(trainer.autoencoder().decoder().value(), data.directions()).mean_cosine;
  for (uint64_t step = 0; step < 4000; ++step) trainer.step(data.batch(step, 256));
  const DictionaryMatch after = match_dictionary(trainer.autoencoder().decoder().value(), data.directions());
  EXPECT_LT(before, 0.6);
  EXPECT_GT(after.mean_cosine, 0.9);
  EXPECT_GT(after.found, 0.75);
}

TEST_F(ToyFeatures, RunsOnOneStreamAreWhatTheyAreAlone) {
  const ToyData data(device_, {.width = 16, .features = 24, .active = 2, .frequency_ratio = 2, .seed = 1});
  ToyPlan topk;
  topk.model = {.width = 16, .latents = 24, .activation = Activation::topk, .k = 2, .k_aux = 8};
  topk.training = {.learning_rate = 3e-3, .batch_size = 64, .steps = 200, .dead_after = 640};
  ToyPlan relu = topk;
  relu.model.activation = Activation::relu;
  relu.model.penalty = 0.1;
  relu.resamples = 4;
  ToyPlan diverging = relu;
  diverging.training.learning_rate = 1e30;
  const ToyPlan plans[] = {topk, diverging, relu};
  const auto together = train_all(data, plans, device_);
  ASSERT_EQ(together.size(), 3u);
  EXPECT_FALSE(together[1].has_value());
  for (const size_t i : {0u, 2u}) {
    const auto alone = train_all(data, {&plans[i], 1}, device_);
    ASSERT_TRUE(together[i] && alone[0]);
    EXPECT_EQ(together[i]->normalised_mse, alone[0]->normalised_mse);
    EXPECT_EQ(together[i]->match.mean_cosine, alone[0]->match.mean_cosine);
  }
  EXPECT_NE(together[0]->normalised_mse, together[2]->normalised_mse);
  topk.training.steps = 10;  // simt is slow
  const auto simt = Device::open(DeviceKind::simt);
  const auto there = train_all(data, {&topk, 1}, *simt), here = train_all(data, {&topk, 1}, device_);
  ASSERT_TRUE(there[0] && here[0]);
  EXPECT_NEAR(there[0]->normalised_mse, here[0]->normalised_mse, 1e-4);
  relu.training.steps = 100;
  const ToyPlan others[] = {topk, relu};
  EXPECT_REFUSED(train_all(data, others, device_), "cannot share one stream of rows");
}

}  // namespace
}  // namespace sae
