#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/files/json.h"
#include "engine/philox.h"
#include "models/interchange/formats.h"
#include "tests/support/temporary_folder.h"

namespace sae::testing {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Row = std::vector<double>;
using Matrix = std::vector<Row>;

inline constexpr int64_t width = 7, latents = 12, k = 3, rows = 5;
inline constexpr Activation interchanged[] = {Activation::topk,      Activation::multi_topk, Activation::relu,
                                              Activation::gated,     Activation::jump_relu,  Activation::batch_topk,
                                              Activation::matryoshka};

inline Matrix to_matrix(const Tensor& tensor) {
  Matrix matrix(static_cast<size_t>(tensor.rows()));
  const float* value = tensor.data<float>();
  for (auto& row : matrix) {
    row.assign(value, value + tensor.cols());
    value += tensor.cols();
  }
  return matrix;
}

inline void expect_near(const Matrix& a, const Matrix& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size());
    for (size_t j = 0; j < a[i].size(); ++j) EXPECT_NEAR(a[i][j], b[i][j], tolerance) << i << ", " << j;
  }
}

/// Latents and reconstructions, in the model's own units.
struct Outputs {
  Matrix latents, reconstructions;
};

inline void expect_same(const Outputs& a, const Outputs& b) {
  expect_near(a.latents, b.latents, 1e-5);
  expect_near(a.reconstructions, b.reconstructions, 1e-2);  // of values around a thousand
  double largest = 0;
  for (const Row& row : a.latents) {
    for (const double value : row) largest = std::max(largest, value);
  }
  EXPECT_GT(largest, 0.1) << "all latents are silent: nothing was compared";
}

/// Autoencoders that are written, read back and compared.
class Interchange : public ::testing::Test {
 protected:
  LoadedAutoencoder make(Activation activation, InputNormalisation how = InputNormalisation::centred_unit_norm) const {
    AutoencoderOptions options;
    options.width = width;
    options.latents = latents;
    options.k = k;
    options.activation = activation;
    options.normalisation = how;
    options.bandwidth = 0.1;
    const auto draw = [&](Shape shape, uint64_t stream) {
      return normal_tensor(*device_, shape, Dtype::f32, Philox(1, stream));
    };
    std::vector<Tensor> extra;
    for (const ExtraParameter& one : extra_parameters(options)) extra.push_back(draw({one.elements}, 4 + extra.size()));
    if (facts_of(activation).whole_batch) extra = {Tensor::scalar(*device_, 0.75f)};
    return {
        Autoencoder(options, draw({latents, width}, 0), draw({latents}, 1), draw({latents, width}, 2), draw({width}, 3),
                    extra),
        {{"model", "tiny"}, {"layer", "22"}, {"site", "resid_post"}, {"context_length", "64"}, {"beginning", "on"}}};
  }
  /// Rows as a model gives them: far from mean zero and unit length. Of an autoencoder without normalisation: small.
  Tensor raw_rows(double scale = 300) const {
    const Tensor draws = normal_tensor(*device_, {rows, width}, Dtype::f32, Philox(2, 0));
    std::vector<float> values = draws.to_vector<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(scale) * (values[i] + 0.1f * static_cast<float>(i / width));
    }
    return Tensor::from(*device_, {rows, width}, values);
  }
  Outputs run(const Autoencoder& autoencoder) const {
    const InputNormalisation how = autoencoder.options().normalisation;
    const NormalisedRows x = normalise(raw_rows(how == InputNormalisation::none ? 1 : 300), how);
    const Value z = encode(autoencoder, x.rows);
    DensifyCount ignored;
    return {to_matrix(densify(z, ignored)), to_matrix(denormalise(decode(autoencoder, z), x.mean, x.norm))};
  }
  Tensor read(const std::string& file, const std::string& name) const {
    return SafetensorsFile(folder_.path(file)).read(*device_, name);
  }
  LoadedAutoencoder read_back(const std::string& name) const { return read_autoencoder(folder_.path(name), *device_); }
  void write(const std::string& name, const LoadedAutoencoder& loaded, AutoencoderFormat format) const {
    write_autoencoder(folder_.path(name), loaded, format, IfExists::refuse);
  }
  /// Changes one member of a JSON file.
  void set(const std::string& file, const std::string& key, const Json& value) const {
    Json json = Json::read(folder_.path(file));
    json.set(key, value);
    json.write(folder_.path(file), IfExists::replace);
  }
  void expect_refused(const std::string& name, const std::string& why) const {
    EXPECT_THAT([&] { read_back(name); }, ThrowsMessage<Error>(HasSubstr(why)));
  }

  TemporaryFolder folder_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

}  // namespace sae::testing
