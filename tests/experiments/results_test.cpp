#include "experiments/compare_activations/results.h"

#include <fmt/format.h>

#include "experiments/compare_activations/learning_rate_search.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

ResultRow point(const std::string& activation, double target, double l0, double mse, double part = 1) {
  ResultRow row;
  row.activation = activation;
  row.target_l0 = target;
  row.l0 = l0;
  row.normalised_mse = mse;
  row.part = part;
  return row;
}

constexpr const char* header = "activation,target_l0,l0,l0_tolerance,normalised_mse,mse_tolerance\n";

TEST(Results, ExpectedTableIsReadAndBadLinesAreNamed) {
  TemporaryFolder folder;
  const auto points = read_expected(folder.write("good.csv", std::string(header) + "topk,8,8,0.1,0.30,0.01\n"));
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].activation, "topk");
  EXPECT_EQ(points[0].mse_tolerance, 0.01);
  EXPECT_REFUSED(read_expected(folder.write("short.csv", std::string(header) + "topk,8\n")), "short.csv:2");
  EXPECT_REFUSED(read_expected(folder.write("word.csv", std::string(header) + "topk,8,x,0.1,0.3,0.01\n")),
                 "'x' is not");
  EXPECT_REFUSED(read_expected(folder.path("missing.csv")), "missing.csv");
  EXPECT_REFUSED(read_expected(folder.write("empty.csv", "# nothing\n\n")), "expected a line of column names");
  EXPECT_REFUSED(read_expected(folder.write("columns.csv", "activation,l0\ntopk,8\n")), "no column 'target_l0'");
}

TEST(Results, VerdictLooksAtWholeRunsAndEveryExpectedPoint) {
  const std::vector<ExpectedPoint> expected = {{"topk", 8, 8, 0.1, 0.30, 0.01}, {"relu", 8, 7, 1, 0.45, 0.02}};
  const std::vector<ResultRow> good = {point("topk", 8, 8, 0.305), point("relu", 8, 7.9, 0.44),
                                       point("relu", 8, 30, 0.9, 0.5)};
  EXPECT_TRUE(compare_with_expected(good, expected).right);
  EXPECT_FALSE(compare_with_expected({good[0]}, expected).right) << "a point is missing";
  EXPECT_FALSE(compare_with_expected({good[0], point("relu", 8, 9, 0.44)}, expected).right) << "L0 is off";
  EXPECT_FALSE(compare_with_expected({good[0], point("relu", 8, 7, 0.48)}, expected).right) << "the error is off";
  EXPECT_FALSE(compare_with_expected(good, {}).right) << "nothing was expected";
}

TEST(Results, TableAndPlotAreWritten) {
  TemporaryFolder folder;
  const std::vector<ResultRow> rows = {point("topk", 8, 8, 0.3), point("topk", 16, 16, 0.25),
                                       point("topk", 8, 8, 0.33, 0.5), point("relu", 8, 7, 0.5)};
  write_results_csv(folder.path("results.csv"), rows);
  const std::string csv = folder.read("results.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
  EXPECT_THAT(csv, ::testing::HasSubstr("\ntopk,16,"));
  draw_plot(folder.path("plot"), "It's a title, block 3", rows);
  EXPECT_THAT(folder.read("plot.svg"), ::testing::HasSubstr("</svg>"));
  EXPECT_EQ(folder.read("plot.png").substr(1, 3), "PNG");
  EXPECT_THAT(folder.read("plot.gp"), ::testing::Not(::testing::HasSubstr("filledcurves")));
  EXPECT_THAT(folder.read("plot.gp"), ::testing::Not(::testing::HasSubstr("still moving")));
  draw_plot(folder.path("single"), "One point, and one without a place on the axis",
            {rows[0], point("relu", 8, 0, 1.1)});
  EXPECT_TRUE(folder.has("single.svg"));
}

TEST(Results, SeedsAreABandAndMovingPointsAreHollow) {
  TemporaryFolder folder;
  std::vector<ResultRow> rows = {point("topk", 8, 8, 0.3), point("topk", 8, 10, 0.5), point("topk", 16, 16, 0.25)};
  rows[1].seed = 1;
  rows[2].moving = 0.2;
  draw_plot(folder.path("plot"), "Two seeds", rows);
  const std::string script = folder.read("plot.gp");
  EXPECT_THAT(script, ::testing::HasSubstr("\n9 0.4 0.3 0.5 0.4 NaN\n16 0.25 0.25 0.25 NaN 0.25\n"));
  EXPECT_THAT(script, ::testing::HasSubstr("filledcurves"));
  EXPECT_THAT(script, ::testing::HasSubstr("pt 6"));
  EXPECT_THAT(folder.read("plot.svg"), ::testing::HasSubstr("</svg>"));
}

TEST(Results, ErrorsOfSeveralSizesAreMovedToTheirSparsity) {
  TemporaryFolder folder;
  std::vector<ResultRow> rows = {point("topk", 16, 16, 0.25), point("topk", 16, 16, 0.35), point("topk", 16, 16, 0.2),
                                 point("relu", 16, 8, 0.4), point("relu", 16, 8, 0.9, 0.5)};
  for (size_t i = 0; i < rows.size(); ++i) rows[i].latents = i == 2 ? 2048 : 1024;
  rows[1].seed = 1;
  draw_scaling(folder.path("plot"), "Two sizes", rows);
  const std::string script = folder.read("plot.gp");
  EXPECT_THAT(script, ::testing::HasSubstr("$curve1 << EOD\n1024 0.3\n2048 0.2\nEOD"));
  EXPECT_THAT(script, ::testing::HasSubstr(fmt::format("$curve0 << EOD\n1024 {}\nEOD", error_at(16, 8, 0.4))));
  EXPECT_THAT(folder.read("plot.svg"), ::testing::HasSubstr("</svg>"));
}

TEST(Results, ManyCurvesStandWithoutThoseOfHalfTheTokens) {
  TemporaryFolder folder;
  std::vector<ResultRow> rows;
  for (const char* name : {"topk", "relu", "gated", "jumprelu"}) {
    rows.push_back(point(name, 8, 8, 0.3));
    rows.push_back(point(name, 8, 8, 0.33, 0.5));
  }
  draw_plot(folder.path("four"), "Four", rows);
  EXPECT_THAT(folder.read("four.gp"), ::testing::Not(::testing::HasSubstr("half the tokens")));
  rows.resize(6);
  draw_plot(folder.path("three"), "Three", rows);
  EXPECT_THAT(folder.read("three.gp"), ::testing::HasSubstr("half the tokens"));
}

}  // namespace
}  // namespace sae
