#include "models/autoencoder/export.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/error.h"
#include "engine/files/json.h"
#include "engine/philox.h"
#include "models/autoencoder/input_normalisation.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Matrix = std::vector<std::vector<double>>;

constexpr int64_t width = 7, latents = 12, k = 3, rows = 5;

Matrix to_matrix(const Tensor& tensor) {
  Matrix matrix(static_cast<size_t>(tensor.rows()));
  const float* value = tensor.data<float>();
  for (auto& row : matrix) {
    row.assign(value, value + tensor.cols());
    value += tensor.cols();
  }
  return matrix;
}

void keep_largest(std::vector<double>& values, size_t count) {
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  for (double& value : values) value = value >= sorted[count - 1] ? value : 0;
}

class ExportTest : public testing::Test {
 protected:
  LoadedAutoencoder make(Activation activation) const {
    AutoencoderOptions options;
    options.width = width;
    options.latents = latents;
    options.k = k;
    options.activation = activation;
    const auto draw = [&](Shape shape, uint64_t stream) {
      return normal_tensor(*device_, shape, Dtype::f32, Philox(1, stream));
    };
    return {Autoencoder(options, draw({latents, width}, 0), draw({latents}, 1), draw({latents, width}, 2),
                        draw({width}, 3)),
            {{"model", "tiny"}, {"layer", "22"}, {"site", "resid_post"}, {"context_length", "64"}}};
  }
  /// Rows as a model gives them: far from mean zero and unit length.
  Tensor raw_rows() const {
    const Tensor draws = normal_tensor(*device_, {rows, width}, Dtype::f32, Philox(2, 0));
    std::vector<float> values = draws.to_vector<float>();
    for (size_t i = 0; i < values.size(); ++i) values[i] = values[i] * 300 + 40 * static_cast<float>(i / width);
    return Tensor::from(*device_, {rows, width}, values);
  }
  Tensor read(const std::string& file, const std::string& name) const {
    return SafetensorsFile(folder_.path(file)).read(*device_, name);
  }
  /// Latents of every row as a dense matrix.
  Matrix our_latents(const Value& value) const {
    DensifyCount ignored;
    return to_matrix(densify(value, ignored));
  }

  TemporaryFolder folder_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

void expect_near(const Matrix& a, const Matrix& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size());
    for (size_t j = 0; j < a[i].size(); ++j) EXPECT_NEAR(a[i][j], b[i][j], tolerance) << i << ", " << j;
  }
}

// What SAELens 6 does with the files, written down again: layer_norm in, (x - b_dec) W_enc + b_enc, activation, W_dec,
// b_dec, layer_norm out.
TEST_F(ExportTest, SaelensGivesOurLatentsAndReconstructionsFromRawRows) {
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const LoadedAutoencoder loaded = make(activation);
    const std::string name(name_of(activation));
    export_autoencoder(folder_.path(name), loaded, ExportFormat::saelens, IfExists::refuse);
    const std::string file = name + "/sae_weights.safetensors";
    EXPECT_THAT(SafetensorsFile(folder_.path(file)).names(),
                testing::UnorderedElementsAre("W_enc", "b_enc", "W_dec", "b_dec"));
    const Matrix encoder = to_matrix(read(file, "W_enc")), decoder = to_matrix(read(file, "W_dec"));
    const std::vector<double> encoder_bias = to_matrix(read(file, "b_enc"))[0],
                              bias = to_matrix(read(file, "b_dec"))[0];
    ASSERT_EQ(encoder.size(), size_t{width});
    ASSERT_EQ(decoder.size(), size_t{latents});

    const Matrix x = to_matrix(raw_rows());
    Matrix theirs, back;
    for (const auto& row : x) {
      double mean = 0, square = 0;
      for (const double value : row) mean += value / width;
      for (const double value : row) square += (value - mean) * (value - mean);
      const double deviation = std::sqrt(square / (width - 1));
      std::vector<double> z = encoder_bias;
      for (size_t i = 0; i < width; ++i) {
        const double input = (row[i] - mean) / (deviation + 1e-5) - bias[i];
        for (size_t j = 0; j < latents; ++j) z[j] += input * encoder[i][j];
      }
      if (activation == Activation::topk) keep_largest(z, k);
      for (double& value : z) value = std::max(value, 0.0);
      std::vector<double> y = bias;
      for (size_t j = 0; j < latents; ++j) {
        for (size_t i = 0; i < width; ++i) y[i] += z[j] * decoder[j][i];
      }
      for (double& value : y) value = value * deviation + mean;
      theirs.push_back(z);
      back.push_back(y);
    }
    const NormalisedRows normalised = normalise(raw_rows(), InputNormalisation::centred_unit_norm);
    const Value z = encode(loaded.autoencoder, normalised.rows);
    expect_near(theirs, our_latents(z), 1e-5);
    const Tensor y = denormalise(decode(loaded.autoencoder, z), normalised.mean, normalised.norm);
    expect_near(back, to_matrix(y), 1e-2);  // of values around a thousand
  }
}

TEST_F(ExportTest, SaelensConfiguration) {
  export_autoencoder(folder_.path("x"), make(Activation::topk), ExportFormat::saelens, IfExists::refuse);
  const Json config = Json::read(folder_.path("x/cfg.json"));
  EXPECT_EQ(config.at("architecture").text(), "topk");
  EXPECT_EQ(config.at("d_in").integer(), width);
  EXPECT_EQ(config.at("d_sae").integer(), latents);
  EXPECT_EQ(config.at("k").integer(), k);  // a missing one would silently be 100
  EXPECT_EQ(config.at("dtype").text(), "float32");
  EXPECT_EQ(config.at("normalize_activations").text(), "layer_norm");
  EXPECT_TRUE(config.at("apply_b_dec_to_input").boolean());
  EXPECT_FALSE(config.at("rescale_acts_by_decoder_norm").boolean());
  EXPECT_EQ(config.at("metadata").at("hook_name").text(), "blocks.22.hook_resid_post");
  EXPECT_EQ(config.at("metadata").at("context_size").integer(), 64);
  EXPECT_FALSE(config.at("metadata").at("prepend_bos").boolean());
  LoadedAutoencoder of_neurons = make(Activation::topk);
  of_neurons.notes = {{"layer", "3"}, {"site", "mlp_hidden"}, {"beginning", "on"}};
  export_autoencoder(folder_.path("z"), of_neurons, ExportFormat::saelens, IfExists::refuse);
  const Json neurons = Json::read(folder_.path("z/cfg.json")).at("metadata");
  EXPECT_EQ(neurons.at("hook_name").text(), "blocks.3.mlp.hook_post");
  EXPECT_TRUE(neurons.at("prepend_bos").boolean());
  export_autoencoder(folder_.path("y"), make(Activation::relu), ExportFormat::saelens, IfExists::refuse);
  const Json relu = Json::read(folder_.path("y/cfg.json"));
  EXPECT_EQ(relu.at("architecture").text(), "standard");
  EXPECT_FALSE(relu.has("k"));
}

// sparsify: top-k of relu((x - b_dec) encoder.weight^T + encoder.bias), on rows that were normalised before.
TEST_F(ExportTest, SparsifyGivesOurLatentsFromNormalisedRows) {
  const LoadedAutoencoder loaded = make(Activation::topk);
  export_autoencoder(folder_.path("x"), loaded, ExportFormat::sparsify, IfExists::refuse);
  const std::string file = "x/sae.safetensors";
  const Matrix encoder = to_matrix(read(file, "encoder.weight")), decoder = to_matrix(read(file, "W_dec"));
  const std::vector<double> encoder_bias = to_matrix(read(file, "encoder.bias"))[0],
                            bias = to_matrix(read(file, "b_dec"))[0];
  const NormalisedRows normalised = normalise(raw_rows(), InputNormalisation::centred_unit_norm);
  Matrix theirs, back;
  for (const auto& row : to_matrix(normalised.rows)) {
    std::vector<double> z = encoder_bias;
    for (size_t j = 0; j < latents; ++j) {
      for (size_t i = 0; i < width; ++i) z[j] += (row[i] - bias[i]) * encoder[j][i];
      z[j] = std::max(z[j], 0.0);
    }
    keep_largest(z, k);
    std::vector<double> y = bias;
    for (size_t j = 0; j < latents; ++j) {
      for (size_t i = 0; i < width; ++i) y[i] += z[j] * decoder[j][i];
    }
    theirs.push_back(z);
    back.push_back(y);
  }
  const Value z = encode(loaded.autoencoder, normalised.rows);
  expect_near(theirs, our_latents(z), 1e-5);
  expect_near(back, to_matrix(decode(loaded.autoencoder, z)), 1e-5);
  const Json config = Json::read(folder_.path("x/cfg.json"));
  EXPECT_EQ(config.at("d_in").integer(), width);
  EXPECT_EQ(config.at("num_latents").integer(), latents);
  EXPECT_EQ(config.at("k").integer(), k);
  EXPECT_FALSE(config.at("transcode").boolean());
  EXPECT_THAT(config.at("inputs").text(), HasSubstr("unit norm"));
}

TEST_F(ExportTest, Refusals) {
  EXPECT_THAT(
      [&] { export_autoencoder(folder_.path("x"), make(Activation::relu), ExportFormat::sparsify, IfExists::refuse); },
      ThrowsMessage<Error>(HasSubstr("choose saelens")));
  EXPECT_EQ(folder_.entries(), 0);
  const LoadedAutoencoder loaded = make(Activation::topk);
  export_autoencoder(folder_.path("x"), loaded, ExportFormat::saelens, IfExists::refuse);
  EXPECT_THAT([&] { export_autoencoder(folder_.path("x"), loaded, ExportFormat::saelens, IfExists::refuse); },
              ThrowsMessage<Error>(HasSubstr("exists already")));
  EXPECT_NO_THROW(export_autoencoder(folder_.path("x"), loaded, ExportFormat::saelens, IfExists::replace));
  folder_.write("file", "x");
  EXPECT_THROW(export_autoencoder(folder_.path("file"), loaded, ExportFormat::saelens, IfExists::refuse), Error);
  EXPECT_THAT([] { parse_export_format("dl"); }, ThrowsMessage<Error>(HasSubstr("saelens or sparsify")));
}

}  // namespace
}  // namespace sae
