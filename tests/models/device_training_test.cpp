// Training and metrics on simt and cuda, held against the cpu.
#include "models/autoencoder/metrics.h"
#include "tests/models/training_on_devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class DeviceTraining : public TrainingOnDevices {
 protected:
  void expect_equal_metrics(const Autoencoder& here, const Autoencoder& there, double tolerance) {
    MetricsSum sum(Tensor::zeros(device_, {width}, Dtype::f32), latents);
    MetricsSum expected_sum(Tensor::zeros(*host_, {width}, Dtype::f32), latents);
    for (int64_t step = 1000; step < 1004; ++step) {
      add_batch(sum, here, batch(device_, step), {.fused = false});
      add_batch(expected_sum, there, batch(*host_, step), {.fused = false});
    }
    const Metrics actual = sum.result(), expected = expected_sum.result();
    EXPECT_LT(relative(actual.normalised_mse, expected.normalised_mse), tolerance);
    EXPECT_LT(relative(actual.per_row_mse, expected.per_row_mse), tolerance);
    EXPECT_LT(relative(actual.explained_variance, expected.explained_variance), tolerance);
    EXPECT_LT(relative(actual.l1, expected.l1), tolerance);
    EXPECT_EQ(actual.rows, expected.rows);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, DeviceTraining, all_but_cpu, device_name);

TEST_P(DeviceTraining, TheSameStartOnEveryDevice) {
  const Trainer here = make(device_, training(1)), there = make(*host_, training(1));
  EXPECT_EQ(bytes_of(here.state()), bytes_of(there.state()));
}

/// The largest relative difference of a loss in 200 steps of float32: products are summed in other orders, and training
/// carries the roundings on. Fused topk selects by the same certified scores everywhere and stays nearer.
TEST_P(DeviceTraining, LossesAgreeOver200Steps) {
  struct Case {
    Activation activation;
    bool fused;
    double tolerance;
  };
  for (const Case& c :
       {Case{Activation::topk, true, 1e-4}, Case{Activation::topk, false, 1e-3}, Case{Activation::relu, false, 1e-3}}) {
    SCOPED_TRACE(std::string(name_of(c.activation)) + (c.fused ? ", fused" : ", plain"));
    TrainingOptions options = training(200);
    options.fused = c.fused;
    Trainer here = make(device_, options, c.activation), there = make(*host_, options, c.activation);
    int64_t steps_with_dead = 0, steps_compressed = 0;
    double worst = 0;
    for (int64_t step = 0; step < options.steps; ++step) {
      const StepReport actual = here.step(batch(device_, step)), expected = there.step(batch(*host_, step));
      ASSERT_EQ(actual.dead, expected.dead) << "step " << step;
      worst = std::max(worst, relative(actual.normalised_mse, expected.normalised_mse));
      worst = std::max(worst, relative(actual.auxiliary_loss, expected.auxiliary_loss));
      worst = std::max(worst, relative(actual.penalty, expected.penalty));
      steps_with_dead += actual.dead > 0;
      steps_compressed += actual.l0 < 0.08 * static_cast<double>(latents);
    }
    EXPECT_LT(worst, c.tolerance);
    EXPECT_LT(weight_difference(here, there), 1e-3);
    if (c.activation == Activation::topk) {
      EXPECT_GT(steps_with_dead, 50) << "the auxiliary loss was hardly ever active";
    } else {
      EXPECT_GT(steps_compressed, 20) << "relu's latents were hardly ever few";
    }
    expect_equal_metrics(*here.averaged(), *there.averaged(), c.tolerance);
  }
}

TEST_P(DeviceTraining, RestoredRunHasTheSameBits) {
  TrainingOptions options = training(14);
  options.fused = false;
  options.clip_norm = 0.05;
  Trainer whole = make(device_, options), first = make(device_, options), second = make(device_, options);
  for (int64_t step = 0; step < 9; ++step) {
    whole.step(batch(device_, step));
    first.step(batch(device_, step));
  }
  second.restore(first.state());
  for (int64_t step = 9; step < 14; ++step) {
    whole.step(batch(device_, step));
    second.step(batch(device_, step));
  }
  EXPECT_EQ(bytes_of(second.state()), bytes_of(whole.state()));
}

TEST_P(DeviceTraining, DeadLatentsAreResampledAlike) {
  TrainingOptions options = training(200);
  options.fused = false;
  options.dead_after = 1;
  Trainer here = make(device_, options, Activation::relu), there = make(*host_, options, Activation::relu);
  for (int64_t step = 0; step < 3; ++step) {
    here.step(batch(device_, step));
    there.step(batch(*host_, step));
  }
  const std::vector<Tensor> sample = {batch(*host_, 100), batch(*host_, 101)};
  const std::vector<Tensor> moved = {batch(device_, 100), batch(device_, 101)};
  const int64_t count = there.resample_dead(sample);
  EXPECT_GT(count, 0);
  EXPECT_EQ(here.resample_dead(moved), count);
  EXPECT_LT(weight_difference(here, there), 1e-4);
}

}  // namespace
}  // namespace sae
