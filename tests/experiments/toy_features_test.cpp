#include "experiments/toy_features/toy_features.h"

#include <numeric>

#include "experiments/toy_features/assignment.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

class ToyFeatures : public testing::CpuTest {};

TEST_F(ToyFeatures, AssignmentByHand) {
  EXPECT_EQ(best_assignment({1, 2, 3, 5}, 2, 2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(best_assignment({9, 8, 8, 1}, 2, 2), (std::vector<int64_t>{1, 0}));  // greedy would take the 9
  EXPECT_EQ(best_assignment({0, 5, 1, 7}, 1, 4), (std::vector<int64_t>{3}));
  EXPECT_TRUE(best_assignment({}, 0, 0).empty());
  EXPECT_REFUSED(best_assignment({1, 2}, 2, 1), "assignment: 2 scores for 2 rows and 1 columns");
}

TEST_F(ToyFeatures, AssignmentAgainstEveryPermutation) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<double> score = testing::to_double(testing::random_tensor(device_, {5, 6}, Dtype::f64, seed));
    std::vector<int64_t> columns = {0, 1, 2, 3, 4, 5};
    double best = -1e9;
    do {
      double total = 0;
      for (size_t row = 0; row < 5; ++row) total += score[row * 6 + static_cast<size_t>(columns[row])];
      best = std::max(best, total);
    } while (std::next_permutation(columns.begin(), columns.end()));
    const std::vector<int64_t> match = best_assignment(score, 5, 6);
    double total = 0;
    for (size_t row = 0; row < 5; ++row) total += score[row * 6 + static_cast<size_t>(match[row])];
    EXPECT_NEAR(total, best, 1e-12);
  }
}

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

TEST_F(ToyFeatures, RecoveryMatchesOneToOne) {
  const Tensor directions = f32({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  EXPECT_NEAR(recovery(directions, directions).mean_cosine, 1, 1e-12);
  EXPECT_EQ(recovery(directions, directions).found, 1);
  // Longer rows, one direction twice: it counts once, and the third direction has no latent like it.
  const Recovery twice = recovery(f32({3, 3}, {0, 5, 0, 2, 0, 0, 3, 0, 0}), directions);
  EXPECT_NEAR(twice.mean_cosine, 2.0 / 3, 1e-12);
  EXPECT_NEAR(twice.found, 2.0 / 3, 1e-12);
  const Recovery fewer = recovery(f32({1, 3}, {0, 0, 2}), directions);
  EXPECT_NEAR(fewer.mean_cosine, 1.0 / 3, 1e-12);
}

// The test that an autoencoder finds what is there.
TEST_F(ToyFeatures, TopkFindsTheDirections) {
  const ToyData data(device_, {.width = 16, .features = 24, .active = 2, .frequency_ratio = 2, .seed = 1});
  const AutoencoderOptions model{.width = 16, .latents = 24, .activation = Activation::topk, .k = 2, .k_aux = 8};
  Trainer trainer(
      Autoencoder::initialise(model, data.mean(), 1),
      {.learning_rate = 3e-3, .batch_size = 256, .steps = 4000, .dead_after = 5120, .mse_scale = 1 / data.variance()});
  const double before = recovery(trainer.autoencoder().decoder().value(), data.directions()).mean_cosine;
  for (uint64_t step = 0; step < 4000; ++step) trainer.step(data.batch(step, 256));
  const Recovery after = recovery(trainer.autoencoder().decoder().value(), data.directions());
  EXPECT_LT(before, 0.6);
  EXPECT_GT(after.mean_cosine, 0.9);
  EXPECT_GT(after.found, 0.75);
}

}  // namespace
}  // namespace sae
