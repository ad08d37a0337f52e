#include "ops/input_normalisation/input_normalisation.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

constexpr InputNormalisation every_kind[] = {InputNormalisation::none, InputNormalisation::unit_norm,
                                             InputNormalisation::centred_unit_norm};

class InputNormalisationTest : public testing::DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, InputNormalisationTest, testing::every_device, testing::device_name);

std::vector<Value> there_and_back(const Tensor& x, InputNormalisation how) {
  const NormalisedRows got = normalise(x, how);
  return {got.rows, got.mean, got.norm, denormalise(got.rows, got.mean, got.norm)};
}

TEST_P(InputNormalisationTest, ByHandAndBack) {
  const Tensor x = f64({2, 4}, {1, 2, 3, 6, 5, 5, 5, 5});
  const NormalisedRows got = normalise(x, InputNormalisation::centred_unit_norm);
  // Mean 3; deviations -2 -1 0 3; norm sqrt(14). A row without spread becomes zeros.
  const double norm = std::sqrt(14.0);
  const std::vector<double> expected = {-2 / norm, -1 / norm, 0, 3 / norm, 0, 0, 0, 0};
  EXPECT_LT(testing::worst_difference(testing::to_double(got.rows), expected), 1e-15);
  EXPECT_EQ(got.mean.to_vector<double>(), (std::vector<double>{3, 5}));
  EXPECT_EQ(
      testing::worst_difference(testing::to_double(denormalise(got.rows, got.mean, got.norm)), testing::to_double(x)),
      0);
}

TEST_P(InputNormalisationTest, FloatAgreesWithDoubleNearAMassiveChannel) {
  std::vector<double> values = testing::random_tensor(device_, {33, 257}, Dtype::f64, 2).to_vector<double>();
  for (size_t row = 0; row < 33; ++row) values[row * 257 + 5] = 20000;
  const Tensor x = f64({33, 257}, values);
  const NormalisedRows exact = normalise(x, InputNormalisation::centred_unit_norm),
                       fast = normalise(x.to(Dtype::f32), InputNormalisation::centred_unit_norm);
  EXPECT_LT(testing::worst_difference(Value(fast.rows), Value(exact.rows)), 1e-6);
  EXPECT_LT(testing::worst_difference(testing::to_double(denormalise(fast.rows, fast.mean, fast.norm)),
                                      testing::to_double(x)),
            1e-6);
}

TEST_P(InputNormalisationTest, OtherNormalisationsByHandAndBack) {
  const Tensor x = f64({2, 2}, {3, 4, 0, 0});
  const NormalisedRows raw = normalise(x, InputNormalisation::none);
  EXPECT_EQ(testing::to_double(raw.rows), testing::to_double(x));
  EXPECT_EQ(raw.mean.to_vector<double>(), (std::vector<double>{0, 0}));
  EXPECT_EQ(raw.norm.to_vector<double>(), (std::vector<double>{1, 1}));
  const NormalisedRows unit = normalise(x, InputNormalisation::unit_norm);
  EXPECT_LT(testing::worst_difference(testing::to_double(unit.rows), std::vector<double>{0.6, 0.8, 0, 0}), 1e-15);
  EXPECT_EQ(unit.mean.to_vector<double>(), (std::vector<double>{0, 0}));
  EXPECT_EQ(unit.norm.to_vector<double>(), (std::vector<double>{5, 0}));
  EXPECT_LT(testing::worst_difference(testing::to_double(denormalise(unit.rows, unit.mean, unit.norm)),
                                      testing::to_double(x)),
            1e-15);
}

TEST_P(InputNormalisationTest, EveryDeviceAgreesAtEdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t width : testing::edge_sizes) {
      if (width == 0) continue;
      const std::string label = std::to_string(rows) + " x " + std::to_string(width);
      for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
        for (const InputNormalisation how : {InputNormalisation::none, InputNormalisation::unit_norm}) {
          testing::expect_equal_bits(
              device_,
              [&](Device& device) {
                return there_and_back(testing::exact_tensor(device, {rows, width}, dtype, 1), how);
              },
              label);
        }
        testing::expect_close(
            device_, dtype == Dtype::f32 ? 1e-6 : 1e-14,
            [&](Device& device) {
              return there_and_back(testing::random_tensor(device, {rows, width}, dtype, 2),
                                    InputNormalisation::centred_unit_norm);
            },
            label);
      }
    }
  }
}

TEST(InputNormalisation, InPlaceIsTheSame) {
  const auto host = Device::open(DeviceKind::cpu);
  for (const InputNormalisation how : every_kind) {
    const Tensor x = testing::random_tensor(*host, {5, 9}, Dtype::f32, 3);
    std::vector<float> values = x.to_vector<float>();
    normalise_in_place(values.data(), 5, 9, how);
    EXPECT_EQ(values, normalise(x, how).rows.to_vector<float>()) << name_of(how);
    EXPECT_EQ(parse_input_normalisation(name_of(how)), how);
  }
  EXPECT_REFUSED(parse_input_normalisation("layer norm"), "expected 'none', 'unit norm' or");
}

TEST_P(InputNormalisationTest, RefusesWrongCounts) {
  const NormalisedRows rows = normalise(f32({2, 2}, {1, 2, 3, 4}), InputNormalisation::centred_unit_norm);
  EXPECT_REFUSED(denormalise(f32({1, 2}, {1, 2}), rows.mean, rows.norm), "denormalise: 1 rows, 2 means");
  EXPECT_REFUSED(denormalise(f64({2, 2}, {1, 2, 3, 4}), rows.mean, rows.norm), "one dtype");
  EXPECT_REFUSED(normalise(i32({1, 2}, {1, 2}), InputNormalisation::none), "normalise");
}

}  // namespace
}  // namespace sae
