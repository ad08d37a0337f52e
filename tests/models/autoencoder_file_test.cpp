#include "models/autoencoder/autoencoder_file.h"

#include <filesystem>
#include <fstream>

#include "tests/support/tensors.h"

namespace sae {
namespace {

class AutoencoderFile : public testing::CpuTest {
 protected:
  AutoencoderFile() : folder_(std::filesystem::temp_directory_path() / ("sae-test-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~AutoencoderFile() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ / name; }
  Autoencoder make(uint64_t seed = 1) {
    return Autoencoder::initialise({.width = 6, .latents = 10, .activation = Activation::topk, .k = 3, .k_aux = 2},
                                   Tensor::zeros(device_, {6}, Dtype::f32), seed);
  }
  static std::string bytes(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path folder_;
};

TEST_F(AutoencoderFile, RoundTripKeepsBitsOptionsAndNotes) {
  const Autoencoder saved = make();
  save_autoencoder(path("a.safetensors"), saved, {{"layer", "22"}}, IfExists::refuse);
  save_autoencoder(path("b.safetensors"), saved, {{"layer", "22"}}, IfExists::refuse);
  EXPECT_EQ(bytes(path("a.safetensors")), bytes(path("b.safetensors")));
  const LoadedAutoencoder loaded = load_autoencoder(path("a.safetensors"), device_);
  EXPECT_EQ(loaded.autoencoder.options().activation, Activation::topk);
  EXPECT_EQ(loaded.autoencoder.options().k, 3);
  EXPECT_EQ(loaded.autoencoder.options().k_aux, 2);
  EXPECT_EQ(loaded.autoencoder.options().aux_weight, 1.0 / 32);
  const auto expected = saved.parameters(), got = loaded.autoencoder.parameters();
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i]->value().to_vector<float>(), expected[i]->value().to_vector<float>());
  }
  EXPECT_THAT(loaded.notes, ::testing::Contains(std::pair<std::string, std::string>("layer", "22")));
  EXPECT_REFUSED(save_autoencoder(path("a.safetensors"), saved, {}, IfExists::refuse), "a.safetensors");
}

TEST_F(AutoencoderFile, KeepsTheInputNormalisationAndTakesOldFilesForCentredRows) {
  const Tensor matrix = Tensor::zeros(device_, {10, 6}, Dtype::f32), row = Tensor::zeros(device_, {10}, Dtype::f32);
  const Tensor bias = Tensor::zeros(device_, {6}, Dtype::f32);
  for (const InputNormalisation how :
       {InputNormalisation::none, InputNormalisation::unit_norm, InputNormalisation::centred_unit_norm}) {
    const AutoencoderOptions options{.width = 6, .latents = 10, .k = 3, .normalisation = how};
    save_autoencoder(path("a"), Autoencoder(options, matrix, row, matrix, bias), {}, IfExists::replace);
    EXPECT_EQ(load_autoencoder(path("a"), device_).autoencoder.options().normalisation, how);
  }
  Metadata old = {{"kind", "sae.cpp autoencoder 1"}, {"activation", "topk"}, {"k", "3"},
                  {"l1", "0"},                       {"k_aux", "0"},         {"aux_weight", "0.03"}};
  const std::vector<NamedTensor> tensors = {
      {"encoder", matrix}, {"encoder_bias", row}, {"decoder", matrix}, {"pre_bias", bias}};
  write_safetensors(path("old"), tensors, old, IfExists::refuse);
  EXPECT_EQ(load_autoencoder(path("old"), device_).autoencoder.options().normalisation,
            InputNormalisation::centred_unit_norm);
  old.emplace_back("input_normalisation", "layer norm");
  write_safetensors(path("new"), tensors, old, IfExists::refuse);
  EXPECT_REFUSED(load_autoencoder(path("new"), device_), "got 'layer norm'");
}

TEST_F(AutoencoderFile, RefusesOtherFiles) {
  const Tensor t = Tensor::zeros(device_, {10, 6}, Dtype::f32);
  write_safetensors(path("other"), {{"encoder", t}}, {}, IfExists::refuse);
  EXPECT_REFUSED(load_autoencoder(path("other"), device_), "is not a 'sae.cpp autoencoder 1' file");
  write_safetensors(path("bad"), {{"encoder", t}, {"encoder_bias", t}, {"decoder", t}, {"pre_bias", t}},
                    {{"kind", "sae.cpp autoencoder 1"},
                     {"activation", "topk"},
                     {"k", "3"},
                     {"l1", "0"},
                     {"k_aux", "0"},
                     {"aux_weight", "0.03"}},
                    IfExists::refuse);
  EXPECT_REFUSED(load_autoencoder(path("bad"), device_), "'encoder_bias'");
  write_safetensors(path("nan"), {{"encoder", t}},
                    {{"kind", "sae.cpp autoencoder 1"}, {"activation", "topk"}, {"k", "3x"}}, IfExists::refuse);
  EXPECT_REFUSED(load_autoencoder(path("nan"), device_), "metadata 'k' is '3x'");
}

TEST_F(AutoencoderFile, CheckpointOfAnotherRunIsRefused) {
  const TrainingOptions options{.learning_rate = 1e-3, .batch_size = 2, .steps = 10, .dead_after = 100};
  Trainer trainer(make(), options);
  trainer.step(testing::random_tensor(device_, {2, 6}, Dtype::f32, 3));
  save_checkpoint(path("checkpoint"), trainer, {{"store", "x"}});
  Trainer same(make(2), options);
  EXPECT_THAT(restore_checkpoint(path("checkpoint"), same),
              ::testing::Contains(std::pair<std::string, std::string>("store", "x")));
  EXPECT_EQ(same.steps_done(), 1);
  EXPECT_EQ(same.autoencoder().encoder().value().to_vector<float>(),
            trainer.autoencoder().encoder().value().to_vector<float>());
  Trainer larger(
      Autoencoder::initialise({.width = 6, .latents = 12, .k = 3}, Tensor::zeros(device_, {6}, Dtype::f32), 1),
      options);
  EXPECT_REFUSED(restore_checkpoint(path("checkpoint"), larger), "'encoder' is f32 [10, 6]");
}

}  // namespace
}  // namespace sae
