#include "experiments/common/subject.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/models/tiny_model.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
namespace fs = std::filesystem;

class SubjectTest : public testing::CpuTest {
 protected:
  LoadedAutoencoder loaded(int64_t width, Metadata notes) {
    return {
        Autoencoder::initialise({.width = width, .latents = 8, .k = 2}, Tensor::zeros(device_, {width}, Dtype::f32), 1),
        std::move(notes)};
  }
  testing::TinyModel tiny_;
  LanguageModel model_ = tiny_.load(device_);
  TemporaryFolder folder_;
};

TEST_F(SubjectTest, NotesSayWhatAnAutoencoderReads) {
  const Subject said =
      subject_of(loaded(64, {{"model", "M"}, {"layer", "0"}, {"site", "mlp_out"}, {"context_length", "16"}}), model_);
  EXPECT_EQ(said, (Subject{"M", {0, Site::mlp_out}, 16, {}}));
  EXPECT_EQ(subject_of(loaded(64, {{"beginning", "on"}}), model_).beginning, true);
  EXPECT_EQ(subject_of(loaded(64, {{"beginning", "off"}}), model_).beginning, false);
  EXPECT_EQ(subject_of(loaded(64, {}), model_), (Subject{"", {1, Site::resid_post}, 64, {}}));
}

TEST_F(SubjectTest, RefusesAnotherModelWidthOrLayer) {
  const Metadata right = {{"model", model_.title()}, {"layer", "1"}, {"context_length", "16"}};
  check_subject("a", loaded(64, right), model_);
  EXPECT_REFUSED(check_subject("a", loaded(64, {{"model", "M"}}), model_),
                 "a: the autoencoder was trained on 'M', this model is 'tiny");
  EXPECT_REFUSED(check_subject("a", loaded(32, right), model_),
                 "a: the autoencoder reads activations of width 32, the "
                 "model's have 64");
  EXPECT_REFUSED(check_subject("a", loaded(64, {{"layer", "2"}, {"context_length", "16"}}), model_),
                 "a: the autoencoder is of block 2, the model has 2 blocks");
  EXPECT_REFUSED(check_subject("a", loaded(64, {{"layer", "1"}}), model_), "contexts of 64, the model sees up to 40");
}

TEST_F(SubjectTest, FindsTheAutoencodersOfASweep) {
  for (const char* run : {"runs/topk-k8", "runs/relu-l1", "runs/relu-l0.9", "runs/trial-topk", "runs/unfinished"}) {
    fs::create_directories(folder_.path(run));
    if (std::string(run) != "runs/unfinished") folder_.write(std::string(run) + "/autoencoder.safetensors", "");
  }
  // relu-l0.9 missed its sparsity and was trained again; trials are no points either.
  const std::string results =
      "activation,part,run\npca,1,-\ntopk,1,runs/topk-k8\ntopk,1,runs/topk-k8\n"
      "relu,0.5,runs/relu-l0.9\nrelu,1,runs/relu-l1\n";
  folder_.write("results.csv", results);
  const std::string sweep = folder_.path("."), one = folder_.path("runs/topk-k8");
  EXPECT_THAT(find_autoencoders({sweep}), ElementsAre(sweep + "/runs/topk-k8/autoencoder.safetensors",
                                                      sweep + "/runs/relu-l1/autoencoder.safetensors"));
  EXPECT_THAT(find_autoencoders({one}), ElementsAre(one + "/autoencoder.safetensors"));
  EXPECT_THAT(find_autoencoders({one + "/autoencoder.safetensors"}), ElementsAre(one + "/autoencoder.safetensors"));
  EXPECT_REFUSED(find_autoencoders({sweep, one}), "are both called 'topk-k8'");
  EXPECT_EQ(autoencoder_name(one + "/autoencoder.safetensors"), "topk-k8");
  EXPECT_EQ(autoencoder_name("some/other.safetensors"), "other");
  EXPECT_REFUSED(find_autoencoders({folder_.path("runs/unfinished")}), "holds no autoencoder");
  EXPECT_REFUSED(find_autoencoders({folder_.path("none")}), "does not exist");
  folder_.write("results.csv", results + "topk,1,runs/unfinished\n");
  EXPECT_REFUSED(find_autoencoders({sweep}), "names the run 'runs/unfinished', which has no autoencoder.safetensors");
  folder_.write("results.csv", "activation,part,run\npca,1,-\n");
  EXPECT_REFUSED(find_autoencoders({sweep}), "results.csv: names no run");
  folder_.write("results.csv", "activation,part\ntopk,1\n");
  EXPECT_REFUSED(find_autoencoders({sweep}), "results.csv: has no column 'run'");
}

}  // namespace
}  // namespace sae
