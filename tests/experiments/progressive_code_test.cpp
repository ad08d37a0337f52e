#include "experiments/progressive_code/progression.h"

#include <algorithm>

#include "experiments/common/subject.h"
#include "models/autoencoder/test_activation.h"
#include "tests/experiments/synthetic_store.h"
#include "tests/models/initialised_autoencoder.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using ::testing::HasSubstr;

class ProgressiveCode : public testing::CpuTest {
 protected:
  ProgressiveCode() {
    testing::write_synthetic_store(folder_.path("data"));
    data_.emplace(folder_.path("data"), RowFilter{.skip_positions = 1, .skip_tokens = {}, .max_norm_multiple = 10},
                  device_);
    statistics_ = data_statistics(data_->train);
  }
  Autoencoder make(Activation activation) {
    return testing::initialised_autoencoder(
        device_, {.width = testing::synthetic_width, .latents = 64, .activation = activation, .k = 3, .penalty = 0.1},
        1);
  }
  Progression measure(Activation activation, std::vector<int64_t> targets) {
    const Tensor sample = data_->validation.range(0, data_->validation.rows());
    return measure_progression(std::string(name_of(activation)), make(activation), data_->test, statistics_, sample,
                               targets);
  }
  TemporaryFolder folder_;
  std::optional<ActivationData> data_;
  DataStatistics statistics_;
};

TEST_F(ProgressiveCode, EveryPointIsAnEvaluationWithAnotherActivation) {
  const Progression topk = measure(Activation::topk, {1, 3, 8});
  ASSERT_EQ(topk.points.size(), 7u);
  EXPECT_EQ(topk.trained().normalised_mse, evaluate(make(Activation::topk), data_->test, statistics_).normalised_mse);
  EXPECT_EQ(topk.points[2].mode, TestMode::topk);
  EXPECT_EQ(topk.points[2].metrics.normalised_mse, topk.trained().normalised_mse) << "k as trained";
  EXPECT_LE(topk.points[1].metrics.l0, 1.0);
  EXPECT_EQ(topk.points[6].mode, TestMode::jump_relu);
  EXPECT_EQ(topk.points[6].target_l0, 8);
  EXPECT_NEAR(topk.points[6].metrics.l0, 8, 0.8) << "thresholds of validation rows, applied to test rows";
  EXPECT_EQ(topk.points[6].metrics.normalised_mse,
            evaluate(with_threshold(make(Activation::topk), topk.points[6].threshold), data_->test, statistics_)
                .normalised_mse);
}

TEST_F(ProgressiveCode, AThresholdThatDoesNotExistIsNoPoint) {
  const Progression relu = measure(Activation::relu, {2, 64});
  ASSERT_EQ(relu.points.size(), 4u) << "as trained, two of topk, one of jumprelu";
  EXPECT_LT(relu.points[2].metrics.l0, 64) << "not all latents are above 0";
  EXPECT_NEAR(relu.points[2].metrics.normalised_mse, relu.trained().normalised_mse, 1e-6) << "another order of sums";
}

TEST_F(ProgressiveCode, TableFigureAndFile) {
  const std::vector<int64_t> targets = {2, 64};
  std::vector<Progression> all = {measure(Activation::topk, targets), measure(Activation::relu, targets)};
  write_progression_csv(folder_.path("progressive.csv"), all);
  const std::string csv = folder_.read("progressive.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 9);
  EXPECT_THAT(csv, HasSubstr("name,activation,latents,k,penalty,mode,target_l0,threshold,l0,normalised_mse,rows\n"));
  EXPECT_THAT(csv, HasSubstr("\ntopk,topk,64,3,0.1,topk,2,0,2.0000,"));
  EXPECT_THAT(csv, HasSubstr("\nrelu,relu,64,0,0.1,trained,0,0,"));
  const std::string table = progression_table(all, targets);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 5);
  EXPECT_THAT(table, HasSubstr("-\n")) << "no threshold gives ReLU 64";
  draw_progression(folder_.path("one"), "It's a title", all);
  EXPECT_THAT(folder_.read("one.svg"), HasSubstr("</svg>"));
  EXPECT_THAT(folder_.read("one.gp"), ::testing::Not(HasSubstr("$front"))) << "one TopK autoencoder is no front";
  all.push_back(all[0]);
  draw_progression(folder_.path("two"), "Two of one activation", all);
  EXPECT_EQ(folder_.read("two.png").substr(1, 3), "PNG");
  EXPECT_THAT(folder_.read("two.gp"), HasSubstr("$front"));
}

TEST_F(ProgressiveCode, AnAutoencoderOfAnotherWidthIsRefused) {
  const Autoencoder other = testing::initialised_autoencoder(device_, {.width = 5, .latents = 8, .k = 2}, 1);
  save_autoencoder(folder_.path("other.safetensors"), other, {}, IfExists::replace);
  EXPECT_REFUSED(load_autoencoder(folder_.path("other.safetensors"), data_->test),
                 "the autoencoder reads activations of width 5");
}

}  // namespace
}  // namespace sae
