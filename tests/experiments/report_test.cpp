#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "experiments/harvest/harvest.h"
#include "experiments/report/report_folder.h"
#include "tests/models/tiny_model.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int64_t length = 10;

/// Activations of a text of the tiny model, and an autoencoder on them.
class ReportTest : public testing::CpuTest {
 protected:
  ReportTest() {
    std::string letters;
    for (int i = 0; i < 600; ++i) letters += static_cast<char>('a' + (i * i + i / 7) % 13);
    const auto source = text_contexts({{"", letters}}, model_.tokenizer(), length);
    StoreDescription store;
    store.model = model_.title();
    store.layer = 1;
    store.site = "resid_post";
    store.split = "test";
    store.width = 64;
    store.context_length = length;
    const auto sink = open_sink(folder_.path("test"), store, IfStoreExists::refuse, "");
    harvest(model_, *source, {.places = {{1, Site::resid_post}}, .context_length = length}, {sink.get()});
    sink->finish();
    rows_.emplace(folder_.path("test"), RowFilter{.skip_positions = 1}, device_);
    fs::create_directories(folder_.path("report"));
  }
  Autoencoder autoencoder() {
    return Autoencoder::initialise({.width = 64, .latents = 100, .k = 6}, Tensor::zeros(device_, {64}, Dtype::f32), 1);
  }
  std::string text(int32_t id) const { return std::string(model_.tokenizer().piece(id)); }

  const testing::TinyModel tiny_;
  mutable LanguageModel model_ = tiny_.load(device_);
  TemporaryFolder folder_;
  std::optional<SplitRows> rows_;
};

TEST_F(ReportTest, FiringsAreThoseOfTheAutoencoder) {
  const Autoencoder sae = autoencoder();
  const Firings firings = find_firings(sae, *rows_);
  int64_t stored = 0;
  for (const auto& of_latent : firings) {
    stored += static_cast<int64_t>(of_latent.size());
    for (size_t i = 0; i < of_latent.size(); ++i) {
      EXPECT_NE(of_latent[i].row % length, 0);  // position 0 is left out
      EXPECT_GT(of_latent[i].value, 0);
      EXPECT_TRUE(i == 0 || of_latent[i - 1].row < of_latent[i].row);
    }
  }
  EXPECT_LE(stored, 6 * rows_->rows());
  EXPECT_GT(stored, 5 * rows_->rows());
  // one row by hand
  const Value latents = encode(sae, rows_->range(17, 18));
  const SparseRows pattern = sparse_rows("test", latents);
  for (int64_t i = 0; i < 6; ++i) {
    const float value = stored_values(latents).data<float>()[i];
    const auto& of_latent = firings[static_cast<size_t>(pattern.index[i])];
    const bool found = std::any_of(of_latent.begin(), of_latent.end(), [&](const Firing& one) {
      return one.row == rows_->selection().row(17) && one.value == value;
    });
    EXPECT_EQ(found, value > 0);
  }
}

TEST_F(ReportTest, StatisticsByHand) {
  const auto ids = rows_->store().token_ids();
  const std::vector<Firing> firings = {{1, 1.0f}, {2, 4.0f}, {11, 2.0f}};
  const LatentStatistics statistics = latent_statistics(firings, *rows_);
  EXPECT_DOUBLE_EQ(statistics.density, 3.0 / static_cast<double>(rows_->rows()));
  EXPECT_DOUBLE_EQ(statistics.mean, 7.0 / 3);
  EXPECT_EQ(statistics.maximum, 4);
  EXPECT_EQ(statistics.histogram[10], 1);
  EXPECT_EQ(statistics.histogram[20], 1);
  EXPECT_EQ(statistics.histogram[39], 1);
  EXPECT_EQ(statistics.tokens[0], ids[2]);
  EXPECT_EQ(latent_statistics({}, *rows_).maximum, 0);
}

TEST_F(ReportTest, Choices) {
  const std::vector<Firing> firings = {{1, 1.0f}, {2, 4.0f}, {11, 2.0f}, {21, 2.0f}, {35, 0.5f}};
  const auto top = top_firings(firings, 3, length);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].row, 2);
  EXPECT_EQ(top[1].row, 11);
  EXPECT_EQ(top[2].row, 21);
  std::set<int64_t> seen;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto drawn = random_firings(firings, 2, seed, 3);
    ASSERT_EQ(drawn.size(), 2u);
    EXPECT_NE(drawn[0].row, drawn[1].row);
    for (const Firing& firing : drawn) seen.insert(firing.row);
  }
  EXPECT_EQ(seen.size(), 5u);

  Firings by_latent(20);
  for (const size_t latent : {2, 3, 5, 7, 11, 13}) by_latent[latent] = firings;
  EXPECT_EQ(sample_latents(by_latent, 0, {}, 0).size(), 20u);
  const auto sample = sample_latents(by_latent, 4, {17, 5}, 0);
  ASSERT_EQ(sample.size(), 4u);
  for (const int64_t latent : sample) EXPECT_TRUE(latent == 17 || !by_latent[static_cast<size_t>(latent)].empty());
  EXPECT_THAT(sample_latents(by_latent, 1, {17, 5}, 0), ElementsAre(5, 17));
  EXPECT_REFUSED(sample_latents(by_latent, 4, {20}, 0), "latent 20: the autoencoder has latents 0 to 19");
}

TEST_F(ReportTest, DirectionsAgreeWithTheModel) {
  const Autoencoder sae = autoencoder();
  const std::vector<int64_t> latents = {3, 50};
  const auto reports = direction_reports(model_, sae, Site::resid_post, latents);
  ASSERT_EQ(reports.size(), 2u);
  const Tensor& decoder = sae.decoder().value();
  const Tensor scores = model_.logits(decoder.slice_rows(50, 51));
  EXPECT_FLOAT_EQ(reports[1].promoted[0].second,
                  *std::max_element(scores.data<float>(), scores.data<float>() + scores.cols()));
  EXPECT_EQ(reports[1].promoted[0].second, scores.data<float>()[reports[1].promoted[0].first]);
  EXPECT_EQ(reports[1].suppressed[0].second,
            *std::min_element(scores.data<float>(), scores.data<float>() + scores.cols()));
  double best = -1;
  for (int64_t other = 0; other < 100; ++other) {
    double cosine = 0;
    for (int64_t i = 0; i < 64; ++i)
      cosine += static_cast<double>(decoder.data<float>()[3 * 64 + i]) *
                static_cast<double>(decoder.data<float>()[other * 64 + i]);
    if (other != 3) best = std::max(best, cosine);
  }
  EXPECT_NEAR(reports[0].nearest[0].second, best, 1e-6);
  EXPECT_EQ(reports[0].nearest.size(), 8u);
  const auto of_neurons = direction_reports(model_, sae, Site::mlp_hidden, latents);
  EXPECT_TRUE(of_neurons[0].promoted.empty() && of_neurons[0].suppressed.empty());
  EXPECT_EQ(of_neurons[0].nearest, reports[0].nearest);
}

TEST_F(ReportTest, RefusesWhatDoesNotFit) {
  const Autoencoder narrow =
      Autoencoder::initialise({.width = 32, .latents = 8, .k = 2}, Tensor::zeros(device_, {32}, Dtype::f32), 1);
  EXPECT_REFUSED(find_firings(narrow, *rows_), "activations of width 32, the store holds width 64");
}

/// The strongest latent that fires, explained by its strongest token.
TEST_F(ReportTest, OpensInABrowser) {
  const Autoencoder sae = autoencoder();
  const Firings firings = find_firings(sae, *rows_);
  int64_t latent = 0;
  while (firings[static_cast<size_t>(latent)].size() < 5) ++latent;
  const LatentStatistics statistics = latent_statistics(firings[static_cast<size_t>(latent)], *rows_);
  Explanations explanations;
  Explanation& explanation = explanations[latent];
  explanation.latent = latent;
  for (const int32_t token : statistics.tokens) {
    explanation.patterns.push_back({.tokens = {token}, .importance = {1}, .value = 0.5, .count = 2});
  }

  AutoencoderReport report;
  report.name = "it's <one>";
  report.card = {{"activation", "topk"}, {"k", "6"}};
  report.latents = 100;
  report.shown = sample_latents(firings, 80, {latent}, 0);
  report.directions = direction_reports(model_, sae, Site::resid_post, report.shown);
  report.firings = &firings;
  report.explanations = &explanations;
  ReportFolder page(folder_.path("report"), *rows_, 1, 0);
  page.write_text(17, [&](int32_t id) { return text(id); });
  page.add_autoencoder(report);
  const std::string figure =
      folder_.write("figure.svg", "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>");
  page.finish("a \"title\"", {{"model", "tiny"}}, {{figure, "a figure"}});

  EXPECT_THAT(folder_.read("report/data/report.js"), HasSubstr(R"(report_data("report",{"title":"a \"title\"")"));
  EXPECT_THAT(folder_.read("report/data/0/index.js"), HasSubstr(R"(report_data("0/index",{"latent":[)"));
  EXPECT_TRUE(folder_.has("report/data/0/1.js"));  // 64 latents in a shard
  EXPECT_FALSE(folder_.has("report/data/0/2.js"));
  EXPECT_THAT(folder_.read("report/data/text/0.js"), HasSubstr(R"(report_data("text/0",[)"));
  EXPECT_TRUE(folder_.has("report/figures/figure.svg"));
  EXPECT_THAT(folder_.read("report/index.html"), HasSubstr("<!doctype html>"));

  const std::string command = fmt::format(SAE_GOLDEN "/../report/browse.sh '{}' 0 {} {}", folder_.path("report"),
                                          latent, text(statistics.tokens[0]));
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "Chromium is not installed: the page itself was not looked at";
  }
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace sae
