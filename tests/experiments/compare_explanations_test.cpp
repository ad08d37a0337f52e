#include <gmock/gmock.h>

#include <cmath>

#include "experiments/compare_explanations/comparison.h"
#include "experiments/compare_explanations/score.h"
#include "experiments/compare_explanations/statistics.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

ResultLine line_of(const std::string& group, int64_t size, double l0, double recall) {
  ResultLine line;
  line.subject = group;
  line.group = group;
  line.method = pattern_method;
  line.slice = "all";
  line.size = size;
  line.l0 = l0;
  line.means.recall = {recall, recall - 0.125, recall + 0.125};
  return line;
}

TEST(CompareExplanations, CurvesBySizeRunOverL0) {
  std::vector<ResultLine> lines = {line_of("topk", 512, 64, 0.5), line_of("relu", 512, 30, 0.25),
                                   line_of("topk", 512, 16, 0.75), line_of("topk", 2048, 16, 0.625),
                                   line_of("random", 512, 16, 0.375)};
  lines.push_back(lines[0]);
  lines.back().threshold = 0.1;
  lines.push_back(lines[0]);
  lines.back().slice = "density bin 1";
  lines.push_back(lines[0]);
  lines.back().method = token_method;
  TemporaryFolder folder;
  draw_by_size(folder.path("by_size"), "it's a title", lines);
  const std::string script = folder.read("by_size.gp");
  EXPECT_THAT(script, HasSubstr("$recall0 << EOD\n30 0.25 0.125 0.375\nEOD\n"));
  EXPECT_THAT(script, HasSubstr("$recall1 << EOD\n16 0.75 0.625 0.875\n64 0.5 0.375 0.625\nEOD\n"));
  EXPECT_THAT(script, HasSubstr("$recall2 << EOD\n16 0.625 0.5 0.75\nEOD\n"));
  EXPECT_THAT(script, HasSubstr("title 'topk, 2048 latents'"));
  EXPECT_THAT(script, Not(HasSubstr("$recall3")));
  EXPECT_THAT(folder.read("by_size.svg"), HasSubstr("</svg>"));
}

TEST(ExplanationScores, CountsOnBothSidesOfAThreshold) {
  const std::vector<RowActivation> predicted = {{1, 1.0}, {3, 0.2}, {6, 2.0}},
                                   truth = {{0, 1}, {1, 0.3}, {3, 4}, {9, 2}};
  const Counts all = count_matches(predicted, truth, 0);
  EXPECT_EQ(all.both, 2);
  EXPECT_EQ(all.predicted_only, 1);
  EXPECT_EQ(all.true_only, 2);
  EXPECT_DOUBLE_EQ(all.precision(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(all.recall(), 0.5);
  EXPECT_DOUBLE_EQ(all.f1(), 4.0 / 7);
  const Counts strong = count_matches(predicted, truth, 0.5);  // row 1 is weak, row 3 is predicted weakly
  EXPECT_EQ(strong.both, 0);
  EXPECT_EQ(strong.predicted_only, 2);
  EXPECT_EQ(strong.true_only, 3);
  EXPECT_EQ(strong.f1(), 0);
  EXPECT_TRUE(std::isnan(count_matches({}, truth, 0).precision()));
  EXPECT_EQ(count_matches({}, truth, 0).true_only, 4);
  EXPECT_TRUE(std::isnan(count_matches({}, {}, 0).f1()));
}

TEST(ExplanationStatistics, MeansAndIntervals) {
  const std::vector<LatentPoint> points = {{0.1, 0.5, 0.2, 0.3}, {0.3, NAN, 0.6, 0.5}};
  EXPECT_DOUBLE_EQ(plain_means(points).precision, 0.5);
  EXPECT_DOUBLE_EQ(plain_means(points).recall, 0.4);
  EXPECT_DOUBLE_EQ(density_weighted_means(points).recall, 0.5);
  EXPECT_TRUE(std::isnan(plain_means({}).recall));
  std::vector<LatentPoint> many;
  for (int i = 0; i < 400; ++i) many.push_back({0.01, 1.0 * (i % 2), 0.5, 0.25});
  const MeansInterval found = bootstrap(many, plain_means, 500, 1);
  EXPECT_DOUBLE_EQ(found.precision.value, 0.5);
  EXPECT_NEAR(found.precision.low, 0.5 - 1.96 * 0.5 / 20, 0.01);
  EXPECT_NEAR(found.precision.high, 0.5 + 1.96 * 0.5 / 20, 0.01);
  EXPECT_DOUBLE_EQ(found.recall.low, 0.5);
  const MeansInterval ratio = bootstrap_ratio(many, {{0.01, 0.25, 0.25, 0.5}}, plain_means, 200, 1);
  EXPECT_DOUBLE_EQ(ratio.precision.value, 2);
  EXPECT_DOUBLE_EQ(ratio.recall.high, 2);
  EXPECT_LT(ratio.precision.low, 2);
}

TEST(ExplanationStatistics, MatchingComparesLikeWithLike) {
  // dense latents are easy; the first group has many of them, the second few; within a bin both are equal
  std::vector<LatentPoint> first, second;
  for (int i = 0; i < 40; ++i) first.push_back(i < 30 ? LatentPoint{0.1, 1, 0.8, 1} : LatentPoint{0.001, 1, 0.2, 1});
  for (int i = 0; i < 40; ++i) second.push_back(i < 10 ? LatentPoint{0.1, 1, 0.8, 1} : LatentPoint{0.001, 1, 0.2, 1});
  const std::vector<double> edges = density_edges({first, second}, 2);
  EXPECT_THAT(edges, ElementsAre(0.001, 0.1, INFINITY));
  EXPECT_GT(plain_means(first).recall, plain_means(second).recall);
  const MatchedMeans matched({first, second}, edges, 3);
  EXPECT_EQ(matched.bins(), 2);
  EXPECT_DOUBLE_EQ(matched(first).recall, 0.5);
  EXPECT_DOUBLE_EQ(matched(second).recall, 0.5);
  EXPECT_EQ(MatchedMeans({first, second}, edges, 20).bins(), 0);
}

}  // namespace
}  // namespace sae
