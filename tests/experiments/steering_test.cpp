#include "experiments/generate/steering.h"

#include "ops/input_normalisation/input_normalisation.h"
#include "tests/models/initialised_autoencoder.h"
#include "tests/models/tiny_model.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

class Steering : public testing::DeviceTest {
 protected:
  Autoencoder autoencoder() {
    return testing::initialised_autoencoder(device_, {.width = 64, .latents = 100, .k = 6}, 1);
  }
  /// The scores after each of three pieces of a text.
  std::vector<std::vector<float>> scores(const Intervention* intervention) {
    KeyValueCache cache = model_.make_cache(12);
    std::vector<std::vector<float>> all;
    for (const std::vector<int32_t>& ids : {std::vector<int32_t>{3}, {1, 4, 1, 5}, {9}}) {
      all.push_back(model_.extend(cache, ids, intervention).to_vector<float>());
    }
    return all;
  }
  /// One that fires at no token of that text.
  int64_t silent_latent() {
    const Autoencoder sae = autoencoder();
    const SitePlace place = {0, Site::resid_post};
    const Tensor rows = model_.activations(model_.tokens(std::vector<int32_t>{3, 1, 4, 1, 5, 9}), 6, {&place, 1})[0];
    const auto host = Device::open(DeviceKind::cpu);
    const Value latents = to_device(encode(sae, normalise(rows, InputNormalisation::centred_unit_norm).rows), *host);
    const SparseRows pattern = sparse_rows("test", latents);
    for (int32_t latent = 0; latent < 100; ++latent) {
      if (std::find(pattern.index, pattern.index + pattern.stored(), latent) == pattern.index + pattern.stored()) {
        return latent;
      }
    }
    return -1;
  }
  const testing::TinyModel tiny_;
  const LanguageModel model_ = tiny_.load(device_);
};
INSTANTIATE_TEST_SUITE_P(Devices, Steering, testing::every_device, testing::device_name);

TEST_P(Steering, WithoutClampsNoBitChanges) {
  EXPECT_FALSE(steering(autoencoder(), {0, Site::resid_post}, {}));
  // and a latent held at what it is anyway: the model takes the way through the intervention
  const auto held = steering(autoencoder(), {0, Site::resid_post}, {{silent_latent(), 0.0f}});
  EXPECT_EQ(scores(&*held), scores(nullptr));
}

TEST_P(Steering, ClampsChangeEverythingButTheFirstPosition) {
  const auto held = steering(autoencoder(), {0, Site::resid_post}, {{7, 5.0f}});
  const auto steered = scores(&*held), plain = scores(nullptr);
  EXPECT_EQ(steered[0], plain[0]);
  EXPECT_NE(steered[1], plain[1]);
  EXPECT_NE(steered[2], plain[2]);
}

TEST_P(Steering, HoldsTheLatentAtItsPlace) {
  const Autoencoder sae = autoencoder();
  const auto held = steering(autoencoder(), {1, Site::resid_post}, {{7, 5.0f}});
  const Tensor ids = model_.tokens(std::vector<int32_t>{3, 1, 4, 1});
  const SitePlace place = {1, Site::resid_post};
  const Tensor before = model_.activations(ids, 4, {&place, 1})[0];
  const Tensor after = model_.run_blocks(model_.embed(ids), 4, 0, 2, {}, nullptr, &*held);
  const Tensor expected = clamp_latents(sae, {{7, 5.0f}}, before.slice_rows(1, 4));
  EXPECT_EQ(after.slice_rows(1, 4).to_vector<float>(), expected.to_vector<float>());
  EXPECT_EQ(after.slice_rows(0, 1).to_vector<float>(), before.slice_rows(0, 1).to_vector<float>());
}

}  // namespace
}  // namespace sae
