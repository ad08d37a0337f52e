#include "experiments/train/diagnosis.h"

#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Diagnosis : public testing::CpuTest {
 protected:
  static RunPlan plan(Activation activation) {
    RunPlan plan;
    plan.model = {.width = 4, .latents = 100, .activation = activation, .k = 3, .bandwidth = 0.1};
    if (facts_of(activation).chooses_k) plan.model.k_aux = 2;
    return plan;
  }
  /// A run that ends with this, and had that before its last fifth.
  static RunResult ended(double mse, double l0, double dead, double mse_before, double l0_before) {
    RunResult result;
    result.points.resize(2);
    result.points[0].validation.normalised_mse = mse_before;
    result.points[0].validation.l0 = l0_before;
    result.points[1].validation.normalised_mse = mse;
    result.points[1].validation.l0 = l0;
    result.points[1].validation.dead_fraction = dead;
    return result;
  }
  std::vector<std::string> diagnose(const RunPlan& plan, const RunResult& result, double threshold_factor = 2) {
    Autoencoder autoencoder = Autoencoder::initialise(plan.model, Tensor::zeros(device_, {4}, Dtype::f32), 1);
    if (plan.model.activation == Activation::jump_relu) {
      autoencoder.extra("log_threshold").update<float>([&](float* values) {
        for (int i = 0; i < 100; ++i) values[i] += static_cast<float>(std::log(threshold_factor));
      });
    }
    return diagnosis(plan, result, autoencoder);
  }
};

TEST_F(Diagnosis, MovementIsTheLargerChange) {
  EXPECT_NEAR(movement(ended(0.2, 9, 0, 0.21, 10)), 0.1, 1e-12);
  EXPECT_NEAR(movement(ended(0.2, 10, 0, 0.25, 10)), 0.2, 1e-12);
  EXPECT_EQ(movement(RunResult{}), 0);
  EXPECT_EQ(before_last_fifth(100), 80);
  EXPECT_EQ(before_last_fifth(1), 1);
}

TEST_F(Diagnosis, SaysWhatIsWrongAndWhichOption) {
  EXPECT_THAT(diagnose(plan(Activation::topk), ended(0.2, 3, 0.05, 0.201, 3)), IsEmpty());
  EXPECT_THAT(diagnose(plan(Activation::topk), ended(0.2, 3, 0.05, 0.25, 3)), ElementsAre(HasSubstr("still moving")));
  EXPECT_THAT(diagnose(plan(Activation::topk), ended(0.2, 3, 0.3, 0.2, 3)), ElementsAre(HasSubstr("--aux-weight")));
  EXPECT_THAT(diagnose(plan(Activation::relu), ended(0.9, 0.2, 0, 0.9, 0.2)),
              ElementsAre(HasSubstr("lower --penalty")));
  EXPECT_THAT(diagnose(plan(Activation::relu), ended(0.1, 60, 0, 0.1, 60)), ElementsAre(HasSubstr("raise --penalty")));
  EXPECT_THAT(diagnose(plan(Activation::gated), ended(0.2, 3, 0.3, 0.2, 3)), ElementsAre(HasSubstr("resampling")));
  RunPlan without = plan(Activation::gated);
  without.resamples = 0;
  EXPECT_THAT(diagnose(without, ended(0.2, 3, 0.3, 0.2, 3)), ElementsAre(HasSubstr("--resamples 4")));
  EXPECT_THAT(diagnose(plan(Activation::jump_relu), ended(0.2, 3, 0, 0.2, 3)), IsEmpty());
  EXPECT_THAT(diagnose(plan(Activation::jump_relu), ended(0.2, 3, 0, 0.2, 3), 1.01),
              ElementsAre(HasSubstr("--bandwidth")));
  EXPECT_THAT(diagnose(plan(Activation::sigmoid), ended(0.2, 100, 0, 0.2, 100)), IsEmpty());
}

}  // namespace
}  // namespace sae
