// Steps that run ahead of the host (Trainer::step_ahead), held against those that wait.
#include "engine/not_finite.h"
#include "tests/models/training_on_devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class StepsAhead : public TrainingOnDevices {};
INSTANTIATE_TEST_SUITE_P(Devices, StepsAhead, all_but_cpu, device_name);

TEST_P(StepsAhead, HaveTheSameBits) {
  TrainingOptions options = training(25);
  options.lr_warmup = 0.3;  // what changes from step to step
  options.lr_decay = 0.3;
  for (const Scoring scoring : {Scoring::exact, Scoring::bf16}) {
    options.scoring = scoring;
    Trainer ahead = make(device_, options, Activation::topk, 0), waiting = make(device_, options, Activation::topk, 0);
    std::vector<StepReport> expected;
    const auto compare = [&] {
      const std::vector<StepReport> got = ahead.reports();
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].normalised_mse, expected[i].normalised_mse);
        EXPECT_EQ(got[i].l0, expected[i].l0);
        EXPECT_EQ(got[i].whole_rows, expected[i].whole_rows);
      }
      EXPECT_EQ(ahead.rows_since_fired(), waiting.rows_since_fired());
      expected.clear();
    };
    for (int64_t step = 0; step < options.steps; ++step) {
      ahead.step_ahead(rows_of(step));
      expected.push_back(waiting.step(batch(device_, step)));
      if (step % 7 == 6) compare();
    }
    compare();
    EXPECT_TRUE(ahead.reports().empty());
    EXPECT_EQ(to_double(ahead.averaged()->decoder().value()), to_double(waiting.averaged()->decoder().value()));
    // And back: the two kinds of steps may take turns.
    ahead.step(batch(device_, 25));
    waiting.step(batch(device_, 25));
    EXPECT_EQ(bytes_of(ahead.state()), bytes_of(waiting.state())) << name_of(scoring);
  }
}

TEST_P(StepsAhead, AuxiliaryLossRunsAheadToo) {
  TrainingOptions options = training(60);
  options.dead_capacity = latents;
  Trainer ahead = make(device_, options), waiting = make(device_, options);
  std::vector<StepReport> expected;
  for (int64_t step = 0; step < options.steps; ++step) {
    ahead.step_ahead(rows_of(step));
    expected.push_back(waiting.step(batch(device_, step)));
  }
  const std::vector<StepReport> got = ahead.reports();
  ASSERT_EQ(got.size(), expected.size());
  int64_t steps_with_dead = 0;
  for (size_t step = 0; step < got.size(); ++step) {
    ASSERT_LT(relative(got[step].normalised_mse, expected[step].normalised_mse), 1e-4) << "step " << step;
    ASSERT_EQ(got[step].dead, expected[step].dead) << "step " << step;
    if (expected[step].dead == 0) continue;
    ASSERT_LT(relative(got[step].auxiliary_loss, expected[step].auxiliary_loss), 1e-4) << "step " << step;
    ++steps_with_dead;
  }
  EXPECT_GT(steps_with_dead, 20);
  EXPECT_LT(weight_difference(ahead, waiting), 1e-3);
}

/// Room for dead latents is made at every 50th step, and is the same whenever reports are asked for, and after a
/// restart, on the way to which a checkpoint brings it.
TEST_P(StepsAhead, RoomForDeadLatentsDependsOnTheStepAlone) {
  const TrainingOptions options = training(70);
  Trainer whole = make(device_, options), first = make(device_, options), second = make(device_, options);
  std::vector<StepReport> reports;
  for (int64_t step = 0; step < 70; ++step) {
    whole.step_ahead(rows_of(step));
    if (step % 9 != 0) continue;
    for (const StepReport& report : whole.reports()) reports.push_back(report);
  }
  for (const StepReport& report : whole.reports()) reports.push_back(report);
  ASSERT_EQ(reports.size(), 70u);
  EXPECT_GT(reports[49].dead, 0);
  EXPECT_EQ(reports[49].auxiliary_loss, 0) << "there was no room yet";
  EXPECT_GT(reports[50].auxiliary_loss, 0);
  for (int64_t step = 0; step < 57; ++step) first.step_ahead(rows_of(step));
  EXPECT_EQ(first.reports().size(), 57u);
  second.restore(first.state());
  for (int64_t step = 57; step < 70; ++step) second.step_ahead(rows_of(step));
  EXPECT_EQ(second.reports().back().auxiliary_loss, reports[69].auxiliary_loss);
  EXPECT_EQ(bytes_of(second.state()), bytes_of(whole.state()));
}

TEST_P(StepsAhead, ReportsSayWhatWentWrong) {
  Trainer trainer = make(device_, training(80));
  EXPECT_TRUE(trainer.reports().empty());
  std::vector<float> rows = rows_of(0);
  EXPECT_REFUSED(trainer.step_ahead(std::span(rows).first(5)), "training: 5 numbers for a batch of 24");
  trainer.step_ahead(rows);
  rows[3 * width + 1] = std::numeric_limits<float>::quiet_NaN();
  trainer.step_ahead(rows);
  EXPECT_REFUSED(trainer.step(batch(device_, 0)), "reports()");
  trainer.step_ahead(rows_of(2));
  EXPECT_THROW(trainer.reports(), NotFinite);
  EXPECT_REFUSED(trainer.reports(), "topk_encode: row 3");
  TrainingOptions clipped = training(40);
  clipped.clip_norm = 1;
  Trainer other = make(device_, clipped);
  EXPECT_FALSE(other.can_run_ahead());
  EXPECT_REFUSED(other.step_ahead(rows), "training: only fused TopK steps");
  EXPECT_FALSE(make(*host_, training(40)).can_run_ahead());
  TrainingOptions slow_biases = training(40);
  slow_biases.bias_rate = 0.5;
  EXPECT_FALSE(make(device_, slow_biases).can_run_ahead());  // its Adam has one learning rate
}

/// Nobody asks for reports: it is noticed at the next multiple of 50 steps.
TEST_P(StepsAhead, DivergenceIsNoticedByItself) {
  Trainer trainer = make(device_, training(80));
  std::vector<float> rows = rows_of(0);
  rows[5] = std::numeric_limits<float>::infinity();
  trainer.step_ahead(rows);
  EXPECT_THROW(
      {
        for (int64_t step = 1; step < 51; ++step) trainer.step_ahead(rows_of(step));
      },
      NotFinite);
  EXPECT_EQ(trainer.steps_done(), 50);
}

}  // namespace
}  // namespace sae
