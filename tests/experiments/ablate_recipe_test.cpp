#include "experiments/ablate_recipe/ablation.h"

#include <algorithm>

#include "models/autoencoder/autoencoder_file.h"
#include "tests/experiments/synthetic_store.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using ::testing::HasSubstr;

class AblateRecipe : public testing::CpuTest {
 protected:
  AblateRecipe() {
    testing::write_synthetic_store(folder_.path("data"));
    data_.emplace(folder_.path("data"), RowFilter{.skip_positions = 1, .skip_tokens = {}, .max_norm_multiple = 10},
                  device_);
    context_.emplace(make_context(*data_, 0, device_));
    recipe_.model = {.width = testing::synthetic_width, .latents = 256, .k = 3, .k_aux = 8};
    recipe_.training = {.learning_rate = 3e-3,
                        .batch_size = 64,
                        .steps = 40,
                        .dead_after = 11 * 64,
                        .mse_scale = 1 / context_->statistics.variance};
    recipe_.folder = folder_.path("runs");
    recipe_.evaluate_after = {32, 40};
    recipe_.log_every = 10;
  }
  std::vector<Ablation> run() {
    std::vector<RunPlan> plans;
    for (const Variant& variant : all_variants()) plans.push_back(plan_of(variant, recipe_));
    const std::vector<RunResult> results = train_runs(*context_, plans, "test");
    std::vector<Ablation> all;
    for (size_t i = 0; i < plans.size(); ++i) {
      all.push_back({all_variants()[i], plans[i], results[i], read_curve(plans[i].folder)});
    }
    return all;
  }
  TemporaryFolder folder_;
  std::optional<ActivationData> data_;
  std::optional<RunContext> context_;
  RunPlan recipe_;
};

TEST_F(AblateRecipe, EveryVariantLacksItsPartAndNothingElse) {
  const std::vector<Ablation> all = run();
  ASSERT_EQ(all.size(), 6u);
  EXPECT_EQ(all[0].variant.name, "recipe");
  RunPlan alone = recipe_;
  alone.folder = folder_.path("alone");
  train_run(*context_, alone);
  EXPECT_EQ(folder_.read("alone/metrics.jsonl"), folder_.read("runs/recipe/metrics.jsonl"));
  for (const Ablation& one : all) {
    EXPECT_EQ(one.plan.model.k_aux > 0, one.variant.auxiliary) << one.variant.name;
    const Autoencoder trained = load_autoencoder(one.result.autoencoder_file, device_).autoencoder;
    const std::vector<float> bias = trained.encoder_bias().value().to_vector<float>();
    EXPECT_EQ(std::any_of(bias.begin(), bias.end(), [](float b) { return b != 0; }), one.variant.encoder_bias)
        << one.variant.name;
    if (&one != &all[0]) {
      EXPECT_NE(one.result.points.back().test->normalised_mse, all[0].result.points.back().test->normalised_mse)
          << one.variant.name;
    }
    ASSERT_EQ(one.curve.points.size(), 4u);
    EXPECT_EQ(one.curve.points[3].tokens, 40 * 64);
    EXPECT_EQ(one.curve.points[0].dead, 0) << "before dead_after rows have passed";
    EXPECT_GT(one.dead_fraction(), 0);
    EXPECT_LT(one.dead_fraction(), 1);
  }
}

TEST_F(AblateRecipe, TableFigureAndFiles) {
  std::vector<Ablation> all = run();
  all[5].result.diverged = "encoder: NaN";
  write_ablation_csv(folder_.path("ablation.csv"), all);
  const std::string csv = folder_.read("ablation.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 6) << "one that diverged has no line";
  EXPECT_THAT(csv, HasSubstr("\nneither,0,0,1,1,256,3,0.003,0,2560,"));
  write_curves_csv(folder_.path("curves.csv"), all);
  const std::string curves = folder_.read("curves.csv");
  EXPECT_EQ(std::count(curves.begin(), curves.end(), '\n'), 1 + 6 * 4);
  const std::string table = ablation_table(all);
  EXPECT_THAT(table, HasSubstr("free-decoder-norm  diverged: encoder: NaN"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 7);
  draw_ablation(folder_.path("ablation"), "It's a title", all);
  EXPECT_THAT(folder_.read("ablation.svg"), HasSubstr("</svg>"));
  EXPECT_EQ(folder_.read("ablation.png").substr(1, 3), "PNG");
}

}  // namespace
}  // namespace sae
