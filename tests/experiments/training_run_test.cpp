#include "experiments/common/training_run.h"

#include <csignal>
#include <filesystem>

#include "experiments/common/interrupt.h"
#include "experiments/common/training_memory.h"
#include "experiments/compare_activations/principal_components.h"
#include "experiments/train/fine_tuning.h"
#include "models/autoencoder/autoencoder_file.h"
#include "tests/experiments/synthetic_store.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

constexpr int64_t width = testing::synthetic_width, context = testing::synthetic_context;

class TrainingRun : public testing::CpuTest {
 protected:
  TrainingRun() {
    const std::string folder = path("data");
    testing::write_synthetic_store(folder);
    data_.emplace(folder, RowFilter{.skip_positions = 1, .skip_tokens = {}, .max_norm_multiple = 10}, device_);
    context_.emplace(make_context(*data_, 0, device_));
  }
  std::string path(const std::string& name) const { return folder_.path(name); }
  RunPlan plan(const std::string& name, Activation activation = Activation::topk) const {
    RunPlan plan;
    plan.model = {.width = width, .latents = 64, .activation = activation, .k = 3};
    if (activation == Activation::topk) plan.model.k_aux = 8;
    if (activation == Activation::relu) plan.model.penalty = 0.05;
    plan.training = {.learning_rate = 3e-3,
                     .batch_size = 64,
                     .steps = 60,
                     .dead_after = 640,
                     .mse_scale = 1 / context_->statistics.variance};
    plan.folder = path(name);
    plan.label = "test";
    plan.evaluate_after = {30, 60};
    plan.checkpoint_every = 7;
    return plan;
  }
  TemporaryFolder folder_;
  std::optional<ActivationData> data_;
  std::optional<RunContext> context_;
};

TEST_F(TrainingRun, DataLeavesOutSinksAndHasTheMeanAsBaseline) {
  EXPECT_EQ(data_->train.rows(), 400 * (context - 1));
  EXPECT_EQ(data_->subject(), "Test model, block 3");
  MetricsSum sum(context_->statistics.mean, 1);
  const Tensor x = data_->train.range(0, data_->train.rows());
  Writable mean = Tensor::empty(device_, x.shape(), Dtype::f32);
  for (int64_t i = 0; i < x.elements(); ++i) mean.data<float>()[i] = context_->statistics.mean.data<float>()[i % width];
  sum.add(x,
          RowSparse{Columns(Tensor::zeros(device_, {x.rows(), 1}, Dtype::i32)),
                    Tensor::zeros(device_, {x.rows(), 1}, Dtype::f32), 1},
          std::move(mean).freeze());
  EXPECT_EQ(sum.result().normalised_mse, 1.0);
}

TEST_F(TrainingRun, PrincipalComponentsAreThoseOfThePowerMethod) {
  const std::vector<int64_t> components = {1, 5, width};
  const auto errors = principal_component_errors(data_->train, data_->train, context_->statistics.mean, components);
  const Tensor x = data_->train.range(0, data_->train.rows());
  std::vector<double> direction(width, 1.0);
  double explained = 0, energy = 0;
  for (int iteration = 0; iteration < 300; ++iteration) {
    std::vector<double> next(width, 0.0);
    explained = energy = 0;
    for (int64_t row = 0; row < x.rows(); ++row) {
      std::vector<double> centred(width);
      double along = 0;
      for (size_t i = 0; i < width; ++i) {
        centred[i] = static_cast<double>(x.data<float>()[row * width + static_cast<int64_t>(i)]) -
                     static_cast<double>(context_->statistics.mean.data<float>()[i]);
        along += centred[i] * direction[i];
        energy += centred[i] * centred[i];
      }
      for (size_t i = 0; i < width; ++i) next[i] += along * centred[i];
      explained += along * along;
    }
    double length = 0;
    for (const double value : next) length += value * value;
    for (size_t i = 0; i < width; ++i) direction[i] = next[i] / std::sqrt(length);
  }
  EXPECT_NEAR(errors[0], 1 - explained / energy, 1e-6);
  EXPECT_GT(errors[0], errors[1]);
  EXPECT_NEAR(errors[2], 0, 1e-12);
  EXPECT_REFUSED(
      principal_component_errors(data_->train, data_->test, context_->statistics.mean, std::vector<int64_t>{width + 1}),
      "expected 1 to 16 principal components, got 17");
}

TEST_F(TrainingRun, RunsOnAnotherDevice) {
  const auto simt = Device::open(DeviceKind::simt);
  const ActivationData data(path("data"), {.skip_positions = 1, .skip_tokens = {}, .max_norm_multiple = 10}, *simt);
  const RunContext on_simt = make_context(data, 0, *simt);
  EXPECT_EQ(on_simt.statistics.mean.to_vector<float>(), context_->statistics.mean.to_vector<float>());
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    RunPlan here = plan(std::string("cpu-") + std::string(name_of(activation)), activation);
    here.training.fused = false;
    here.training.steps = 12;
    here.training.dead_after = 128;
    here.evaluate_after = {12};
    RunPlan there = here;
    there.folder = path("simt-" + std::string(name_of(activation)));
    const RunPoint expected = train_run(*context_, here).points.back();
    const RunPoint actual = train_run(on_simt, there).points.back();
    ASSERT_TRUE(actual.test.has_value() && expected.test.has_value());
    EXPECT_NEAR(actual.test->normalised_mse, expected.test->normalised_mse, 1e-3 * expected.test->normalised_mse);
    EXPECT_EQ(actual.averaged, expected.averaged);
    const LoadedAutoencoder loaded = load_autoencoder(there.folder + "/autoencoder.safetensors", *simt);
    EXPECT_EQ(evaluate(loaded.autoencoder, data.test, on_simt.statistics, {.fused = false}).normalised_mse,
              actual.test->normalised_mse);
    there.resume = true;
    EXPECT_REFUSED(train_run(*context_, there), "holds the result of another run");
  }
}

class RunOnSimt : public TrainingRun {
 protected:
  RunPlan short_plan(const std::string& name) const {
    RunPlan plan = TrainingRun::plan(name);
    plan.training.batch_size = 32;
    plan.training.steps = 55;
    plan.training.dead_after = 320;
    plan.evaluate_after = {55};
    return plan;
  }
  std::unique_ptr<Device> simt_ = Device::open(DeviceKind::simt);
  ActivationData on_simt_{path("data"), {.skip_positions = 1, .skip_tokens = {}, .max_norm_multiple = 10}, *simt_};
  RunContext simt_context_ = make_context(on_simt_, 0, *simt_);
};

TEST_F(RunOnSimt, StepsThatRunAheadChangeNothing) {
  RunPlan ahead = short_plan("ahead"), waiting = short_plan("waiting");
  for (RunPlan* plan : {&ahead, &waiting}) {
    plan->model.k_aux = 0;  // with dead latents steps that run ahead go by room for them
    plan->log_every = 20;
  }
  waiting.training.clip_norm = 1e9;  // never reached, but such steps do not run ahead
  const RunResult got = train_run(simt_context_, ahead), expected = train_run(simt_context_, waiting);
  EXPECT_EQ(folder_.read("ahead/metrics.jsonl"), folder_.read("waiting/metrics.jsonl"));
  EXPECT_EQ(got.points[0].validation.normalised_mse, expected.points[0].validation.normalised_mse);
  const LoadedAutoencoder a = load_autoencoder(got.autoencoder_file, device_);
  const LoadedAutoencoder b = load_autoencoder(expected.autoencoder_file, device_);
  const auto left = a.autoencoder.parameters(), right = b.autoencoder.parameters();
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i]->value().to_vector<float>(), right[i]->value().to_vector<float>()) << left[i]->name();
  }
}

TEST_F(RunOnSimt, InterruptedAndResumedEqualsUninterrupted) {
  const RunResult whole = train_run(simt_context_, short_plan("whole"));
  RunPlan broken = short_plan("broken");
  catch_interrupts();
  std::raise(SIGINT);
  EXPECT_REFUSED(train_run(simt_context_, broken), "interrupted after 1 of 55 steps");
  broken.resume = true;
  EXPECT_REFUSED(train_run(simt_context_, broken), "interrupted after 2 of 55 steps");
  clear_interrupt();
  train_run(simt_context_, broken);
  EXPECT_EQ(folder_.read("whole/autoencoder.safetensors"), folder_.read("broken/autoencoder.safetensors"));
  EXPECT_EQ(folder_.read("whole/metrics.jsonl"), folder_.read("broken/metrics.jsonl"));
}

TEST(TrainingMemory, IsAskedForBeforeTheRun) {
  const AutoencoderOptions model{.width = 768, .latents = 32768, .activation = Activation::relu};
  const TrainingOptions training{.batch_size = 8192};
  const int64_t needed = training_memory(model, training);
  EXPECT_GT(needed, int64_t{4} * (4 * 2 * 768 * 32768 + 8192 * 32768)) << "state and one matrix of latents";
  EXPECT_NO_THROW(require_memory(DeviceKind::cpu, std::nullopt, needed));
  EXPECT_NO_THROW(require_memory(DeviceKind::cuda, needed, needed));
  EXPECT_REFUSED(require_memory(DeviceKind::cuda, int64_t{1} << 30, int64_t{5} << 29),
                 "device cuda: this needs about 2.5 GiB of memory, of which 1.0 are free; lower --batch-size");
}

TEST_F(TrainingRun, LearnsAndWritesItsFiles) {
  const RunResult result = train_run(*context_, plan("run"));
  ASSERT_EQ(result.points.size(), 2u);
  EXPECT_LT(result.points[1].test->normalised_mse, 0.8);
  EXPECT_LT(result.points[1].test->normalised_mse, result.points[0].test->normalised_mse);
  EXPECT_LE(result.points[1].test->l0, 3.0);
  EXPECT_FALSE(std::filesystem::exists(path("run/checkpoint.safetensors")));
  const LoadedAutoencoder loaded = load_autoencoder(result.autoencoder_file, device_);
  const Metrics again = evaluate(loaded.autoencoder, data_->test, context_->statistics);
  EXPECT_EQ(again.normalised_mse, result.points[1].test->normalised_mse);
  EXPECT_REFUSED(train_run(*context_, plan("run")), "holds another run");
}

TEST_F(TrainingRun, RowsAreNormalisedAsTheAutoencoderWantsThem) {
  RunPlan raw = plan("raw");
  raw.model.normalisation = InputNormalisation::none;
  EXPECT_REFUSED(train_run(*context_, raw), "another input normalisation");
  const RunContext raw_context = make_context(*data_, 0, device_, InputNormalisation::none);
  raw.training.mse_scale = 1 / raw_context.statistics.variance;
  const RunResult result = train_run(raw_context, raw);
  EXPECT_LT(result.points[1].test->normalised_mse, 0.8);
  const LoadedAutoencoder loaded = load_autoencoder(result.autoencoder_file, device_);
  EXPECT_EQ(loaded.autoencoder.options().normalisation, InputNormalisation::none);
  EXPECT_REFUSED(evaluate(loaded.autoencoder, data_->test, context_->statistics), "input normalisation is 'none'");
  const Tensor x = data_->test.range(0, data_->test.rows(), InputNormalisation::none);
  EXPECT_EQ(x.to_vector<float>(),
            data_->test.store().gather(data_->test.selection().rows(0, x.rows()), device_).to_vector<float>());
  const std::vector<float> y = decode(loaded.autoencoder, encode(loaded.autoencoder, x)).to_vector<float>();
  double error = 0, energy = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const auto value = static_cast<double>(x.data<float>()[i]);
    error += std::pow(static_cast<double>(y[i]) - value, 2);
    energy += std::pow(value - static_cast<double>(raw_context.statistics.mean.data<float>()[i % width]), 2);
  }
  EXPECT_NEAR(result.points[1].test->normalised_mse, error / energy, 1e-6);
}

TEST_F(TrainingRun, BeginsWithAnotherRunsWeights) {
  const RunResult first = train_run(*context_, plan("first"));
  const LoadedAutoencoder trained = load_autoencoder(first.autoencoder_file, device_);
  const std::vector<float> before = trained.autoencoder.encoder().value().to_vector<float>();
  RunPlan second = plan("second");
  second.evaluate_after = {0, 60};
  begin_with(second, trained, first.autoencoder_file);
  const RunResult result = train_run(*context_, second);
  // Before its first step it is what was read, but for the rounding of decoder rows that have length 1 already.
  EXPECT_NEAR(result.points[0].validation.normalised_mse, first.points[1].validation.normalised_mse, 1e-5);
  EXPECT_LT(result.points[1].validation.normalised_mse, first.points[1].validation.normalised_mse);
  EXPECT_EQ(trained.autoencoder.encoder().value().to_vector<float>(), before) << "the weights that were read changed";
  const LoadedAutoencoder tuned = load_autoencoder(result.autoencoder_file, device_);
  EXPECT_THAT(tuned.notes,
              ::testing::Contains(std::pair<std::string, std::string>("init_from", first.autoencoder_file)));
  second.resume = true;
  EXPECT_EQ(train_run(*context_, second).points.size(), 2u) << "the finished run is found again";
  second.start.reset();
  EXPECT_REFUSED(train_run(*context_, second), "of another run");
}

TEST_F(TrainingRun, OtherWeightsThanTheRunWantsAreRefused) {
  const LoadedAutoencoder trained = load_autoencoder(train_run(*context_, plan("first")).autoencoder_file, device_);
  const auto refuses = [&](const std::string& why, const std::function<void(AutoencoderOptions&)>& change) {
    RunPlan other = plan("other");
    change(other.model);
    EXPECT_REFUSED(begin_with(other, trained, "x"), why);
  };
  refuses("width", [](AutoencoderOptions& model) { model.width = 17; });
  refuses("its activation is topk; give --activation topk", [](auto& model) { model.activation = Activation::relu; });
  refuses("it has 64 latents, not 65; give --latents 64", [](AutoencoderOptions& model) { model.latents = 65; });
  refuses("3 of its latents are active, not 4; give --k 3", [](AutoencoderOptions& model) { model.k = 4; });
  refuses("input normalisation", [](auto& model) { model.normalisation = InputNormalisation::none; });
  const Tensor decoder = trained.autoencoder.decoder().value();
  std::vector<float> longer = decoder.to_vector<float>();
  for (int64_t i = 0; i < width; ++i) longer[static_cast<size_t>(i)] *= 2;
  LoadedAutoencoder uneven = load_autoencoder(path("first/autoencoder.safetensors"), device_);
  uneven.autoencoder.decoder().assign(Tensor::from(device_, decoder.shape(), longer));
  RunPlan other = plan("other");
  EXPECT_REFUSED(begin_with(other, uneven, "x"), "--init-from x: the decoder's rows have lengths from");
}

TEST_F(TrainingRun, SameSeedSameBits) {
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const std::string name(name_of(activation));
    train_run(*context_, plan(name + "1", activation));
    train_run(*context_, plan(name + "2", activation));
    EXPECT_EQ(folder_.read(name + "1/autoencoder.safetensors"), folder_.read(name + "2/autoencoder.safetensors"));
    EXPECT_EQ(folder_.read(name + "1/metrics.jsonl"), folder_.read(name + "2/metrics.jsonl"));
    EXPECT_FALSE(folder_.read(name + "1/autoencoder.safetensors").empty());
  }
}

TEST_F(TrainingRun, InterruptedAndResumedEqualsUninterrupted) {
  const RunResult whole = train_run(*context_, plan("whole"));
  RunPlan broken = plan("broken");
  catch_interrupts();
  std::raise(SIGINT);
  ASSERT_TRUE(interrupted());
  EXPECT_REFUSED(train_run(*context_, broken), "interrupted after 1 of 60 steps");
  broken.resume = true;
  EXPECT_REFUSED(train_run(*context_, broken), "interrupted after 2 of 60 steps");
  clear_interrupt();
  const RunResult resumed = train_run(*context_, broken);
  EXPECT_EQ(folder_.read("whole/autoencoder.safetensors"), folder_.read("broken/autoencoder.safetensors"));
  EXPECT_EQ(folder_.read("whole/metrics.jsonl"), folder_.read("broken/metrics.jsonl"));
  EXPECT_EQ(resumed.points[1].test->normalised_mse, whole.points[1].test->normalised_mse);
  // Once finished, it is found again; another plan in the same folder is refused.
  EXPECT_EQ(train_run(*context_, broken).points[0].validation.l0, resumed.points[0].validation.l0);
  broken.training.learning_rate *= 2;
  EXPECT_REFUSED(train_run(*context_, broken), "result of another run");
}

TEST_F(TrainingRun, SeveralRunsOnOneStreamAreWhatEachIsByItself) {
  std::vector<RunPlan> plans = {plan("a"), plan("b", Activation::relu), plan("broken")};
  plans[2].training.learning_rate = 1e30;
  const std::vector<RunResult> results = train_runs(*context_, plans, "three runs");
  ASSERT_EQ(results.size(), 3u);
  EXPECT_TRUE(results[2].diverged.has_value());
  EXPECT_FALSE(std::filesystem::exists(path("broken/autoencoder.safetensors")));
  train_run(*context_, plan("a alone"));
  train_run(*context_, plan("b alone", Activation::relu));
  for (const std::string name : {"a", "b"}) {
    EXPECT_EQ(folder_.read(name + "/autoencoder.safetensors"), folder_.read(name + " alone/autoencoder.safetensors"));
    EXPECT_EQ(folder_.read(name + "/metrics.jsonl"), folder_.read(name + " alone/metrics.jsonl"));
  }
  plans[1].training.batch_size = 32;
  EXPECT_REFUSED(train_runs(*context_, plans, "differ"), "cannot share one stream");
}

TEST_F(TrainingRun, RunsOfAStreamThatWereInterruptedAtDifferentStepsMeetAgain) {
  RunPlan early = plan("early"), late = plan("late");
  early.log_every = late.log_every = 25;
  train_run(*context_, late);
  early.folder = path("split");
  catch_interrupts();
  std::raise(SIGINT);
  EXPECT_REFUSED(train_run(*context_, early), "interrupted after 1 of 60 steps");
  clear_interrupt();
  early.resume = true;
  RunPlan other = plan("other", Activation::relu);
  const std::vector<RunPlan> plans = {other, early};
  train_runs(*context_, plans, "two runs");
  EXPECT_EQ(folder_.read("split/autoencoder.safetensors"), folder_.read("late/autoencoder.safetensors"));
  EXPECT_EQ(folder_.read("split/metrics.jsonl"), folder_.read("late/metrics.jsonl"));
}

}  // namespace
}  // namespace sae
