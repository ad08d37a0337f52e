#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "experiments/downstream/bigram_model.h"
#include "experiments/downstream/measurement.h"
#include "experiments/downstream/simulated_latents.h"
#include "tests/models/initialised_autoencoder.h"
#include "tests/models/tiny_model.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using ::testing::HasSubstr;
using testing::to_double;

constexpr int64_t length = 10;

class Downstream : public testing::DeviceTest {
 protected:
  /// Reads and writes every channel: latents max(x, 0) and max(-x, 0).
  Autoencoder exact() {
    std::vector<float> rows(128 * 64, 0.0f);
    for (size_t i = 0; i < 64; ++i) {
      rows[i * 64 + i] = 1;
      rows[(64 + i) * 64 + i] = -1;
    }
    const Tensor matrix = Tensor::from(device_, {128, 64}, rows);
    return Autoencoder({.width = 64, .latents = 128, .activation = Activation::relu}, matrix,
                       Tensor::zeros(device_, {128}, Dtype::f32), matrix, Tensor::zeros(device_, {64}, Dtype::f32));
  }
  Autoencoder random() { return testing::initialised_autoencoder(device_, {.width = 64, .latents = 100, .k = 6}, 1); }
  std::vector<std::vector<ReplacedLoss>> losses(std::span<const int32_t> ids, const ReplacementPlan& plan,
                                                const ActivationMeans& means,
                                                const std::vector<Substitute>& substitutes) {
    return replaced_losses(model_, run_lower_part(model_, ids, plan), plan, means, substitutes);
  }
  ActivationMeans means(const ReplacementPlan& plan) {
    const LowerPart part = run_lower_part(model_, ids_, plan);
    const Autoencoder any = exact();
    return activation_means({&part, 1}, plan, std::vector<Substitute>{{"", Substitute::Kind::autoencoder, &any}});
  }
  /// The mean loss on what positions 1 to 8 of each context predict, from the model's own functions.
  double loss_with(const ReplacementPlan& plan, const Replacement& replace) {
    const Intervention put = {plan.place, replace};
    const Tensor residual = model_.run_blocks(model_.embed(model_.tokens(ids_)), length, 0, 2, {}, nullptr, &put);
    const auto all = model_.next_token_loss(residual, ids_, length).to_vector<float>();
    double sum = 0;
    for (size_t i = 0; i < all.size(); ++i) sum += i % 10 >= 1 && i % 10 < 9 ? static_cast<double>(all[i]) : 0.0;
    return sum / 16;
  }

  const testing::TinyModel tiny_;
  LanguageModel model_ = tiny_.load(device_);
  TemporaryFolder folder_;
  const std::vector<int32_t> ids_ = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 16, 0, 11};
};
INSTANTIATE_TEST_SUITE_P(Devices, Downstream, testing::every_device, testing::device_name);

TEST_P(Downstream, AnExactReconstructionCostsNothing) {
  for (const Site site : {Site::resid_post, Site::resid_mid, Site::mlp_out, Site::attn_out}) {
    const ReplacementPlan plan = {{0, site}, length, 1};
    const Autoencoder autoencoder = exact();
    const auto result = losses(ids_, plan, means(plan), {{"exact", Substitute::Kind::autoencoder, &autoencoder}})[0];
    ASSERT_EQ(result.size(), 2u);
    for (const ReplacedLoss& loss : result) {
      EXPECT_EQ(loss.tokens, 8);
      EXPECT_EQ(loss.rows, 9);
      EXPECT_NEAR(loss.mean_increase(), 0, 2e-6);
      EXPECT_NEAR(loss.mean_divergence(), 0, 2e-6);
      EXPECT_LT(loss.normalised_mse(), 1e-12);
      EXPECT_NEAR(loss.l0(), 64, 0.2);  // every channel but one that is 0
      EXPECT_GT(loss.mean_loss(), 1);
    }
  }
}

TEST_P(Downstream, EndsAgreeWithTheModelRunByHand) {
  for (const Site site : {Site::resid_post, Site::mlp_out}) {
    const ReplacementPlan plan = {{0, site}, length, 1};
    const ActivationMeans mean = means(plan);
    const SitePlace place = plan.place;
    const auto rows = to_double(model_.activations(model_.tokens(ids_), length, {&place, 1})[0]);
    const std::vector<float> own = mean.own.to_vector<float>();
    for (size_t i = 0; i < 64; ++i) {
      double sum = 0;
      for (size_t row = 0; row < 20; ++row) sum += row % 10 == 0 ? 0.0 : rows[row * 64 + i];
      EXPECT_NEAR(own[i], sum / 18, 1e-6);
    }
    const auto filled = [&](const Tensor& x, const float* value) {
      std::vector<float> values = x.to_vector<float>();
      for (size_t i = 0; i < values.size(); ++i) {
        if (i / 64 % 10 != 0) values[i] = value == nullptr ? 0 : value[i % 64];
      }
      return Tensor::from(device_, x.shape(), values);
    };
    const double original = loss_with(plan, [](Tensor x, int64_t, int64_t) { return x; });
    const double zero = loss_with(plan, [&](Tensor x, int64_t, int64_t) { return filled(x, nullptr); });
    const double average = loss_with(plan, [&](Tensor x, int64_t, int64_t) { return filled(x, own.data()); });
    const auto result = losses(ids_, plan, mean,
                               {{"original", Substitute::Kind::original, nullptr},
                                {"zero", Substitute::Kind::zero, nullptr},
                                {"mean", Substitute::Kind::mean, nullptr}});
    const double expected[] = {original, zero, average};
    for (size_t i = 0; i < 3; ++i) {
      ReplacedLoss sum = result[i][0];
      sum.add(result[i][1]);
      EXPECT_NEAR(sum.mean_loss(), expected[i], 2e-6);
      EXPECT_NEAR(sum.mean_increase(), expected[i] - original, 4e-6);
      EXPECT_EQ(sum.mean_divergence() > 1e-4, i > 0);
    }
  }
}

TEST_P(Downstream, SimulatedLatentsAreScaledAndDecoded) {
  const ReplacementPlan plan = {{0, Site::resid_post}, length, 1};
  const LowerPart part = run_lower_part(model_, ids_, plan);
  const std::vector<float> x = part.activations.to_vector<float>();
  std::vector<double> mean(20, 0.0), norm(20, 0.0);
  for (size_t i = 0; i < x.size(); ++i) mean[i / 64] += static_cast<double>(x[i]) / 64;
  for (size_t i = 0; i < x.size(); ++i) norm[i / 64] += std::pow(static_cast<double>(x[i]) - mean[i / 64], 2);
  for (double& one : norm) one = std::sqrt(one);
  // three channels, each by that of its two latents which fires at a given row
  const auto channel = [&](size_t row, size_t c) {
    return (static_cast<double>(x[row * 64 + c]) - mean[row]) / norm[row];
  };
  const auto latent_at = [&](size_t row, size_t c) { return static_cast<int64_t>(channel(row, c) > 0 ? c : 64 + c); };
  const int64_t latents[] = {latent_at(4, 3), latent_at(14, 6), latent_at(1, 10)};
  const auto activation = [&](size_t row, int64_t latent) {
    return std::max(
        0.0, latent < 64 ? channel(row, static_cast<size_t>(latent)) : -channel(row, static_cast<size_t>(latent - 64)));
  };
  std::vector<Explanation> explanations(3);
  explanations[0].patterns = {{{5}, {1}, false, 2}};  // at rows 4 and 8; row 10 is position 0
  explanations[1].patterns = {{{9}, {1}, false, 1}, {{7, 9}, {1, 1}, false, 3}};  // at rows 5 and 12, and at row 14
  explanations[2].patterns = {{{1}, {1}, true, 4}};                               // at row 1, the first that is seen
  for (size_t i = 0; i < 3; ++i) explanations[i].latent = latents[i];
  const double scales[] = {
      (activation(4, latents[0]) + activation(8, latents[0])) * 2 / 8,
      (activation(5, latents[1]) + activation(12, latents[1]) + 3 * activation(14, latents[1])) / 11,
      activation(1, latents[2]) / 4};

  const Autoencoder autoencoder = exact();
  SimulatedLatents simulated(autoencoder, explanations, plan);
  simulated.calibrate(part);
  int64_t firings = 0, explained = 0;
  for (size_t row = 0; row < 20; ++row) {
    for (int64_t latent = 0; latent < 128 && row % 10 > 0; ++latent) {
      if (!(activation(row, latent) > 0)) continue;
      ++firings;
      explained += std::count(latents, latents + 3, latent);
    }
  }
  EXPECT_EQ(simulated.explained(), 3);
  EXPECT_NEAR(simulated.explained_firings(), static_cast<double>(explained) / static_cast<double>(firings), 1e-3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GT(scales[i], 0);
    EXPECT_NEAR(simulated.scale(latents[i]), scales[i], 1e-6);
  }
  EXPECT_EQ(simulated.scale(20), 0);

  std::vector<float> put(x.size());
  for (size_t i = 0; i < x.size(); ++i) put[i] = i / 64 % 10 == 0 ? x[i] : static_cast<float>(mean[i / 64]);
  const auto add = [&](size_t row, size_t which, double predicted) {
    const auto latent = static_cast<size_t>(latents[which]);
    put[row * 64 + latent % 64] += static_cast<float>((latent < 64 ? 1 : -1) * scales[which] * predicted * norm[row]);
  };
  for (const size_t row : {4, 8}) add(row, 0, 2);
  for (const size_t row : {5, 12}) add(row, 1, 1);
  add(14, 1, 3);
  add(1, 2, 4);
  const double expected =
      loss_with(plan, [&](const Tensor& at, int64_t, int64_t) { return Tensor::from(device_, at.shape(), put); });
  const auto result = losses(ids_, plan, means(plan),
                             {{"simulated", Substitute::Kind::simulated, &autoencoder, &simulated},
                              {"sae", Substitute::Kind::autoencoder, &autoencoder}});
  ReplacedLoss sum = result[0][0];
  sum.add(result[0][1]);
  EXPECT_NEAR(sum.mean_loss(), expected, 4e-6);
  EXPECT_EQ(sum.active, 6);
  EXPECT_EQ(sum.rows, 18);
  EXPECT_GT(sum.normalised_mse(), result[1][0].normalised_mse());

  explanations[1].latent = 128;
  EXPECT_REFUSED(SimulatedLatents(autoencoder, explanations, plan), "of latent 128, but the autoencoder has 128");
}

TEST_P(Downstream, BigramsTakeTheModelsPlace) {
  const ReplacementPlan plan = {{0, Site::resid_post}, length, 1};
  const auto text = text_contexts({{"", "abcabdabeabcabdabcabdab"}}, model_.tokenizer(), length);
  const BigramModel bigrams(*text, length, model_.sizes().vocabulary);
  const auto result =
      losses(ids_, plan, means(plan), {{"bigrams", Substitute::Kind::bigrams, nullptr, nullptr, &bigrams}})[0];
  double expected = 0;
  for (size_t row = 1; row < 9; ++row) expected -= std::log(bigrams.probability(ids_[row], ids_[row + 1])) / 8;
  EXPECT_NEAR(result[0].mean_loss(), expected, 1e-5);
  EXPECT_EQ(result[0].tokens, 8);
  EXPECT_EQ(result[0].rows, 0);
  EXPECT_GT(result[0].mean_divergence(), 0.01);
}

TEST_P(Downstream, AContextDoesNotDependOnItsBatch) {
  const ReplacementPlan plan = {{0, Site::resid_post}, length, 1};
  const Autoencoder autoencoder = random();
  const std::vector<Substitute> substitutes = {{"sae", Substitute::Kind::autoencoder, &autoencoder}};
  const ActivationMeans mean = means(plan);
  const auto both = losses(ids_, plan, mean, substitutes)[0];
  for (size_t context = 0; context < 2; ++context) {
    const auto alone = losses(std::span(ids_).subspan(10 * context, 10), plan, mean, substitutes)[0];
    if (GetParam() == DeviceKind::cuda) continue;  // cuBLASLt sums in another order for another number of rows
    EXPECT_EQ(alone[0].loss, both[context].loss);
    EXPECT_EQ(alone[0].divergence, both[context].divergence);
    EXPECT_EQ(alone[0].error, both[context].error);
  }
  EXPECT_EQ(both[0].active, 54);  // k latents in each of nine rows
}

TEST_P(Downstream, MeasuresGoOnAndWriteResults) {
  std::string letters;
  for (int i = 0; i < 130; ++i) letters += static_cast<char>('a' + i * i % 13);
  const Autoencoder autoencoder = random();
  const std::vector<Substitute> substitutes = {{"original", Substitute::Kind::original, nullptr},
                                               {"zero", Substitute::Kind::zero, nullptr},
                                               {"mean", Substitute::Kind::mean, nullptr},
                                               {"sae", Substitute::Kind::autoencoder, &autoencoder}};
  MeasurementOptions options;
  options.plan = {{0, Site::resid_post}, length, 1};
  options.batch_contexts = 2;
  options.identity = "this";
  const auto run = [&](const std::string& file, int64_t contexts) {
    options.sums_file = folder_.path(file);
    options.contexts = contexts;
    const auto source = text_contexts({{"", letters}}, model_.tokenizer(), length);
    return measure(model_, *source, options, substitutes);
  };
  const DownstreamResults whole = run("a", 12);
  EXPECT_EQ(whole.rows[0].loss.contexts, 12);
  EXPECT_EQ(whole.rows[0].loss.tokens, 96);
  const DownstreamResults again = run("a", 12);
  EXPECT_EQ(to_json(again.rows[3].loss).dump(), to_json(whole.rows[3].loss).dump());

  // the sums of a run that was interrupted after the first four contexts
  const std::vector<int32_t> ids = model_.tokenizer().encode(letters);
  std::vector<LowerPart> parts;
  for (size_t at = 0; at < 120; at += 20) {
    parts.push_back(run_lower_part(model_, std::span(ids).subspan(at, 20), options.plan));
  }
  const ActivationMeans mean = activation_means(parts, options.plan, substitutes);
  std::vector<ReplacedLoss> sums(4);
  for (size_t part = 0; part < 2; ++part) {
    const auto some = replaced_losses(model_, parts[part], options.plan, mean, substitutes);
    for (size_t i = 0; i < 4; ++i) {
      for (const ReplacedLoss& context : some[i]) sums[i].add(context);
    }
  }
  Json list = Json::array();
  for (const ReplacedLoss& sum : sums) list.push(to_json(sum));
  Json file = Json::object();
  file.set("identity", "this").set("losses", list);
  file.write(folder_.path("b"), IfExists::refuse);
  const DownstreamResults resumed = run("b", 12);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(to_json(resumed.rows[i].loss).dump(), to_json(whole.rows[i].loss).dump());
  }

  EXPECT_EQ(whole.loss_recovered(whole.rows[0].loss, Substitute::Kind::zero), 1);
  EXPECT_EQ(whole.loss_recovered(whole.rows[1].loss, Substitute::Kind::zero), 0);
  EXPECT_EQ(whole.rows[0].loss.increase, 0);
  EXPECT_GT(whole.rows[3].loss.increase_error(), 0);
  write_downstream_csv(folder_.path("downstream.csv"), whole);
  EXPECT_THAT(folder_.read("downstream.csv"), HasSubstr("\nsae,topk,100,6,0,6.0000,"));
  EXPECT_THAT(folder_.read("downstream.csv"), HasSubstr("\nzero,,,,,,,"));
  EXPECT_THAT(downstream_table(whole), HasSubstr("poor autoencoders score high"));
  draw_downstream(folder_.path("downstream"), "it's a title", whole);
  EXPECT_THAT(folder_.read("downstream.svg"), HasSubstr("</svg>"));

  options.identity = "another";
  EXPECT_REFUSED(run("a", 12), "is of another text, model or set of autoencoders");
  options.plan.skip_positions = 9;
  EXPECT_REFUSED(run("c", 12), "in contexts of 10, nothing is predicted from position 9 on");
}

}  // namespace
}  // namespace sae
