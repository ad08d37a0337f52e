#include <gmock/gmock.h>

#include <cmath>

#include "engine/error.h"
#include "experiments/encode/latent_rows.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::ThrowsMessage;

/// Four latents that read one channel each of normalised rows of width 4.
Autoencoder channels(Activation activation, Device& device) {
  AutoencoderOptions options;
  options.width = options.latents = 4;
  options.k = 2;
  options.activation = activation;
  std::vector<float> identity(16, 0.0f);
  for (size_t i = 0; i < 4; ++i) identity[5 * i] = 1;
  const Tensor matrix = Tensor::from(device, {4, 4}, identity);
  const Tensor zeros = Tensor::zeros(device, {4}, Dtype::f32);
  return Autoencoder(options, matrix, zeros, matrix, zeros);
}

class Encode : public testing::Test {
 protected:
  /// Mean 10, and normalised (-1, 3, 1, -3) / sqrt(20) and (-1, 1, 1, -1) / 2.
  Tensor rows() const { return Tensor::from(*device_, {2, 4}, std::vector<float>{9, 13, 11, 7, 8, 12, 12, 8}); }

  TemporaryFolder folder_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

TEST_F(Encode, KeepsLatentsAboveZeroInOrder) {
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const Autoencoder autoencoder = channels(activation, *device_);
    LatentRows latents(autoencoder);
    latents.add(rows().slice_rows(0, 1), {{7}, {0}});
    latents.add(rows().slice_rows(1, 2), {{8}, {1}});
    EXPECT_EQ(latents.rows(), 2);
    EXPECT_EQ(latents.stored(), 4);
    const float unit = 1 / std::sqrt(20.0f);
    EXPECT_THAT(latents.strongest(0, 10),
                ElementsAre(Pair(1, testing::FloatEq(3 * unit)), Pair(2, testing::FloatEq(unit))));
    EXPECT_THAT(latents.strongest(0, 1), ElementsAre(Pair(1, testing::FloatEq(3 * unit))));
    EXPECT_THAT(latents.strongest(1, 2), ElementsAre(Pair(1, 0.5f), Pair(2, 0.5f)));  // a tie: the lower first
    EXPECT_TRUE(latents.strongest(1, 0).empty());
    EXPECT_THROW(latents.strongest(2, 1), Error);
  }
}

TEST_F(Encode, AnAutoencoderMayLieOnAnotherDevice) {
  const auto simt = Device::open(DeviceKind::simt);
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const Autoencoder here = channels(activation, *device_), there = channels(activation, *simt);
    LatentRows expected(here), from_host(there), from_device(there);
    expected.add(rows(), {});
    from_host.add(rows(), {});
    from_device.add(rows().to(*simt), {});
    for (int64_t row = 0; row < 2; ++row) {
      EXPECT_EQ(from_host.strongest(row, 4), expected.strongest(row, 4));
      EXPECT_EQ(from_device.strongest(row, 4), expected.strongest(row, 4));
    }
  }
}

TEST_F(Encode, WritesCompressedRows) {
  const Autoencoder autoencoder = channels(Activation::topk, *device_);
  LatentRows latents(autoencoder);
  latents.add(rows(), {{7, 8}, {0, 1}});
  latents.write(folder_.path("x"), {{"sae", "file"}}, IfExists::refuse);
  const SafetensorsFile file(folder_.path("x"));
  EXPECT_THAT(file.read(*device_, "offsets").to_vector<int64_t>(), ElementsAre(0, 2, 4));
  EXPECT_THAT(file.read(*device_, "index").to_vector<int32_t>(), ElementsAre(1, 2, 1, 2));
  EXPECT_EQ(file.read(*device_, "values").elements(), 4);
  EXPECT_THAT(file.read(*device_, "token_ids").to_vector<int32_t>(), ElementsAre(7, 8));
  EXPECT_THAT(file.read(*device_, "positions").to_vector<int32_t>(), ElementsAre(0, 1));
  EXPECT_THAT(file.read(*device_, "input_mean").to_vector<float>(), ElementsAre(10, 10));
  EXPECT_THAT(file.read(*device_, "input_norm").to_vector<float>(), ElementsAre(testing::FloatEq(std::sqrt(20.0f)), 4));
  EXPECT_EQ(file.metadata("latents"), "4");
  EXPECT_EQ(file.metadata("sae"), "file");
  EXPECT_THROW(latents.write(folder_.path("x"), {}, IfExists::refuse), Error);
}

TEST_F(Encode, Refusals) {
  const Autoencoder autoencoder = channels(Activation::topk, *device_);
  LatentRows latents(autoencoder);
  EXPECT_THAT(
      [&] {
        latents.add(Tensor::zeros(*device_, {1, 5}, Dtype::f32), {});
      },
      ThrowsMessage<Error>(HasSubstr("rows of width 4, got 5")));
  latents.add(rows(), {});
  EXPECT_THAT(
      [&] {
        latents.add(Tensor::from(*device_, {1, 4}, std::vector<float>{1, 2, NAN, 4}), {});
      },
      ThrowsMessage<Error>(HasSubstr("row 2 holds NaN")));
  EXPECT_THROW(latents.add(rows(), {{7, 8}, {0, 1}}), Error);
  EXPECT_THROW(latents.add(rows(), {{7}, {0}}), Error);
  EXPECT_EQ(latents.rows(), 2);
}

}  // namespace
}  // namespace sae
