#include <cmath>
#include <limits>
#include <set>

#include "experiments/compare_activations/learning_rate_search.h"
#include "experiments/compare_activations/penalty_search.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

TEST(PenaltySearch, FindsEveryTargetOnACurveThatIsNoPowerLaw) {
  int runs = 0;
  const auto l0 = [&](double penalty) {
    ++runs;
    return 2000 / (1 + std::pow(penalty / 0.02, 1.3)) + 0.5;
  };
  PenaltySearch search({.first_guess = 0.2, .trials_for_each = 5}, l0);
  for (const double target : {32, 8, 16, 64, 128}) {
    const PenaltyTrial found = search.find(target);
    EXPECT_LT(std::abs(std::log(found.l0 / target)), 0.1) << target;
    EXPECT_EQ(2000 / (1 + std::pow(found.penalty / 0.02, 1.3)) + 0.5, found.l0);
  }
  EXPECT_LE(runs, 18);
  const int before = runs;
  search.find(32);
  EXPECT_EQ(runs, before);  // found again without a run
}

TEST(PenaltySearch, StopsWhereATargetCannotBeReached) {
  int runs = 0;
  PenaltySearch search({.trials_for_each = 4}, [&](double) {
    ++runs;
    return 3.0;
  });
  EXPECT_EQ(search.find(100).l0, 3.0);
  EXPECT_EQ(runs, 4);
  EXPECT_REFUSED(search.find(0), "penalty search");
}

TEST(LearningRateSearch, ExtendsAllContestantsAlike) {
  std::vector<std::set<double>> tried(2);
  const auto trials = search_learning_rates(2, {1, 2, 4}, 3, [&](size_t who, double rate) {
    tried[who].insert(rate);
    const double optimum = who == 0 ? 2 : 16;
    return std::pow(std::log(rate / optimum), 2);
  });
  EXPECT_EQ(trials[0].best(), 2);
  EXPECT_EQ(trials[1].best(), 16);
  EXPECT_EQ(tried[0].size(), tried[1].size());
  EXPECT_EQ(tried[1], (std::set<double>{1, 2, 4, 8, 16, 32}));
}

TEST(LearningRateSearch, DivergedRunsAreWorst) {
  const auto trials = search_learning_rates(
      1, {1, 2, 4}, 0, [](size_t, double rate) { return rate > 1 ? std::numeric_limits<double>::quiet_NaN() : 5.0; });
  EXPECT_EQ(trials[0].best(), 1);
  EXPECT_REFUSED(search_learning_rates(1, {2, 1}, 0, [](size_t, double) { return 0.0; }), "learning rate search");
}

}  // namespace
}  // namespace sae
