#include "experiments/common/dictionary_match.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/common/assignment.h"
#include "experiments/compare_activations/seed_agreement.h"
#include "models/autoencoder/autoencoder_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

class DictionaryMatching : public testing::CpuTest {};

TEST_F(DictionaryMatching, AssignmentByHand) {
  EXPECT_EQ(best_assignment({1, 2, 3, 5}, 2, 2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(best_assignment({9, 8, 8, 1}, 2, 2), (std::vector<int64_t>{1, 0}));  // greedy would take the 9
  EXPECT_EQ(best_assignment({0, 5, 1, 7}, 1, 4), (std::vector<int64_t>{3}));
  EXPECT_TRUE(best_assignment({}, 0, 0).empty());
  EXPECT_REFUSED(best_assignment({1, 2}, 2, 1), "assignment: 2 scores for 2 rows and 1 columns");
}

TEST_F(DictionaryMatching, AssignmentAgainstEveryPermutation) {
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

TEST_F(DictionaryMatching, MatchesOneToOne) {
  const Tensor directions = f32({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  EXPECT_NEAR(match_dictionary(directions, directions).mean_cosine, 1, 1e-12);
  EXPECT_EQ(match_dictionary(directions, directions).found, 1);
  // Longer rows, one direction twice: it counts once, and the third direction has no latent like it.
  const DictionaryMatch twice = match_dictionary(f32({3, 3}, {0, 5, 0, 2, 0, 0, 3, 0, 0}), directions);
  EXPECT_NEAR(twice.mean_cosine, 2.0 / 3, 1e-12);
  EXPECT_NEAR(twice.found, 2.0 / 3, 1e-12);
  const DictionaryMatch fewer = match_dictionary(f32({1, 3}, {0, 0, 2}), directions);
  EXPECT_NEAR(fewer.mean_cosine, 1.0 / 3, 1e-12);
}

TEST_F(DictionaryMatching, SeedsAreComparedWithTheFirst) {
  TemporaryFolder folder;
  const Tensor mean = f32({4}, {0, 0, 0, 0});
  const AutoencoderOptions options{.width = 4, .latents = 6, .activation = Activation::topk, .k = 2};
  for (const uint64_t seed : {0, 1}) {
    save_autoencoder(folder.path(fmt::format("{}.safetensors", seed)), Autoencoder::initialise(options, mean, seed), {},
                     IfExists::refuse);
  }
  const std::string first = folder.path("0.safetensors"), second = folder.path("1.safetensors");
  const std::string table = write_seed_agreement(folder.path("seeds.csv"),
                                                 {{"topk", 2, {first, second, first}}, {"relu", 8, {first}}}, device_);
  const std::string csv = folder.read("seeds.csv");
  EXPECT_THAT(csv, ::testing::HasSubstr("\ntopk,2,2,1.00000,1.00000\n")) << "the first seed with itself";
  EXPECT_THAT(csv, ::testing::HasSubstr("\ntopk,2,1,0."));
  EXPECT_THAT(csv, ::testing::Not(::testing::HasSubstr("relu"))) << "a single seed has nothing to agree with";
  EXPECT_THAT(table, ::testing::HasSubstr("topk"));
}

}  // namespace
}  // namespace sae
