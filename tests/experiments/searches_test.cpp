#include <cmath>
#include <limits>
#include <set>

#include "experiments/compare_activations/contestant.h"
#include "experiments/compare_activations/learning_rate_search.h"
#include "experiments/compare_activations/penalty_search.h"
#include "experiments/compare_activations/targets.h"
#include "experiments/compare_activations/whole_run_penalties.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

TEST(PenaltySearch, FindsEveryTargetOnACurveThatIsNoPowerLaw) {
  int runs = 0;
  const auto l0 = [](double penalty) { return 2000 / (1 + std::pow(penalty / 0.02, 1.3)) + 0.5; };
  const auto run = [&](std::span<const double> penalties) {
    runs += static_cast<int>(penalties.size());
    std::vector<double> reached;
    for (const double penalty : penalties) reached.push_back(l0(penalty));
    return reached;
  };
  PenaltySearch search({.first_guess = 0.2, .trials_for_each = 5}, run);
  for (const std::vector<double>& targets : {std::vector<double>{32}, {8, 128}, {16, 64}}) {
    const std::vector<PenaltyTrial> found = search.find(targets);
    ASSERT_EQ(found.size(), targets.size());
    for (size_t i = 0; i < targets.size(); ++i) {
      EXPECT_LT(std::abs(std::log(found[i].l0 / targets[i])), 0.1) << targets[i];
      EXPECT_EQ(l0(found[i].penalty), found[i].l0);
    }
  }
  EXPECT_LE(runs, 18);
  const int before = runs;
  search.find(std::vector<double>{32, 16});
  EXPECT_EQ(runs, before);  // found again without a run
}

TEST(PenaltySearch, StopsWhereATargetCannotBeReached) {
  int runs = 0;
  PenaltySearch search({.trials_for_each = 4}, [&](std::span<const double> penalties) {
    runs += static_cast<int>(penalties.size());
    return std::vector<double>(penalties.size(), 3.0);
  });
  EXPECT_EQ(search.find(std::vector<double>{100})[0].l0, 3.0);
  EXPECT_EQ(runs, 4);
  EXPECT_REFUSED(search.find(std::vector<double>{0}), "penalty search");
}

TEST(LearningRateSearch, ExtendsAllContestantsAlike) {
  std::vector<std::set<double>> tried(2);
  const auto trials = search_learning_rates(2, {1, 2, 4}, 3, [&](std::span<const LearningRateTrial> round) {
    std::vector<double> losses;
    for (const auto& [who, rate] : round) {
      tried[who].insert(rate);
      losses.push_back(std::pow(std::log(rate / (who == 0 ? 2 : 16)), 2));
    }
    return losses;
  });
  EXPECT_EQ(trials[0].best(), 2);
  EXPECT_EQ(trials[1].best(), 16);
  EXPECT_EQ(tried[0].size(), tried[1].size());
  EXPECT_EQ(tried[1], (std::set<double>{1, 2, 4, 8, 16, 32}));
}

TEST(LearningRateSearch, DivergedRunsAreWorst) {
  const auto run = [](std::span<const LearningRateTrial> round) {
    std::vector<double> losses;
    for (const auto& trial : round) {
      losses.push_back(trial.learning_rate > 1 ? std::numeric_limits<double>::quiet_NaN() : 5.0);
    }
    return losses;
  };
  EXPECT_EQ(search_learning_rates(1, {1, 2, 4}, 0, run)[0].best(), 1);
  EXPECT_REFUSED(search_learning_rates(1, {2, 1}, 0, run), "learning rate search");
}

TEST(LearningRateSearch, ErrorsAreComparedAtTheSameSparsity) {
  EXPECT_EQ(error_at(32, 32, 0.2), 0.2);
  EXPECT_NEAR(error_at(32, 16, 0.2), 0.2 * std::pow(0.5, 0.35), 1e-12);  // sparser: better than its error says
  EXPECT_NEAR(error_at(32, 64, 0.2), 0.2 * std::pow(2, 0.35), 1e-12);
  EXPECT_GT(error_at(32, 0, 1.0), 0.6);  // what has collapsed is not the best
}

TEST(Targets, TheMiddleComesFirstThenOneAboveAndOneBelow) {
  using Waves = std::vector<std::vector<double>>;
  EXPECT_EQ(target_waves({128, 8, 32, 16, 64}, 32), (Waves{{32}, {16, 64}, {8, 128}}));
  EXPECT_EQ(target_waves({8, 16, 32}, 1000), (Waves{{32}, {16}, {8}}));
  EXPECT_EQ(target_waves({4}, 32), (Waves{{4}}));
  EXPECT_EQ(target_waves({}, 32), Waves{});
}

TEST(WholeRunPenalties, TrialsAimHigherByWhatTheNearestRunLost) {
  const std::vector<double> targets = {8, 60};
  WholeRunPenalties runs;
  EXPECT_EQ(runs.trial_aims(targets), targets);
  runs.remember(16, 0.2, 20, 10);
  runs.remember(64, 0.05, 80, 60);
  EXPECT_EQ(runs.trial_aims(targets), (std::vector<double>{16, 80}));
  runs.remember(16, 0.1, 0, 16);  // chosen by no trial: says nothing of trials
  EXPECT_EQ(runs.trial_aims(targets), (std::vector<double>{16, 80}));
  runs.remember(8, 0.4, 100, 1);
  EXPECT_EQ(runs.trial_aims(targets), (std::vector<double>{40, 80}));
}

TEST(WholeRunPenalties, AreCorrectedBetweenTheRunsAndSettleOnTheNearest) {
  WholeRunPenalties runs;
  EXPECT_REFUSED((void)runs.correction(32, 0.1, true), "no whole run");
  runs.remember(32, 0.1, 32, 30);
  EXPECT_FALSE(runs.correction(32, 0.1, true));    // near enough
  EXPECT_EQ(runs.correction(32, 0.2, true), 0.1);  // a better one is known
  runs.remember(64, 0.05, 64, 480);
  const auto between = runs.correction(120, 0.05, true);  // L0 falls with the fourth power there
  ASSERT_TRUE(between);
  EXPECT_NEAR(*between, 0.05 * std::sqrt(2.0), 1e-9);
  EXPECT_FALSE(runs.correction(900, 0.05, false));   // far, but no more trials
  EXPECT_EQ(runs.correction(64, 0.05, false), 0.1);  // 30 is nearer to 64 than 480 is
}

TEST(Contestants, AreReadAndNamed) {
  const std::vector<Contestant> found = parse_contestants("topk,topk-frozen,relu");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0], (Contestant{Activation::topk, false}));
  EXPECT_EQ(found[1], (Contestant{Activation::topk, true}));
  EXPECT_EQ(name_of(found[1]), "topk-frozen");
  EXPECT_EQ(name_of(found[2]), "relu");
  EXPECT_REFUSED(parse_contestants("topk,"), "activation: expected relu|");
  EXPECT_REFUSED(parse_contestants("sigmoid"), "no place on an axis of L0");
  EXPECT_REFUSED(parse_contestants("topk,topk"), "topk is named twice");
  EXPECT_REFUSED(parse_contestants("-frozen"), "activation: expected relu|");
}

}  // namespace
}  // namespace sae
