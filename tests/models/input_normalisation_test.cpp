#include "models/autoencoder/input_normalisation.h"

#include "tests/support/tensors.h"

namespace sae {
namespace {

class InputNormalisation : public testing::CpuTest {};

TEST_F(InputNormalisation, ByHandAndBack) {
  const Tensor x = f64({2, 4}, {1, 2, 3, 6, 5, 5, 5, 5});
  const NormalisedRows got = normalise(x);
  // Mean 3; deviations -2 -1 0 3; norm sqrt(14). A row without spread becomes zeros.
  const double norm = std::sqrt(14.0);
  const std::vector<double> expected = {-2 / norm, -1 / norm, 0, 3 / norm, 0, 0, 0, 0};
  EXPECT_LT(testing::worst_difference(testing::to_double(got.rows), expected), 1e-15);
  EXPECT_EQ(got.mean.to_vector<double>(), (std::vector<double>{3, 5}));
  EXPECT_EQ(
      testing::worst_difference(testing::to_double(denormalise(got.rows, got.mean, got.norm)), testing::to_double(x)),
      0);
}

TEST_F(InputNormalisation, FloatAgreesWithDoubleNearAMassiveChannel) {
  std::vector<double> values = testing::random_tensor(device_, {33, 257}, Dtype::f64, 2).to_vector<double>();
  for (size_t row = 0; row < 33; ++row) values[row * 257 + 5] = 20000;
  const Tensor x = f64({33, 257}, values);
  const NormalisedRows exact = normalise(x), fast = normalise(x.to(Dtype::f32));
  EXPECT_LT(testing::worst_difference(Value(fast.rows), Value(exact.rows)), 1e-6);
  EXPECT_LT(testing::worst_difference(testing::to_double(denormalise(fast.rows, fast.mean, fast.norm)),
                                      testing::to_double(x)),
            1e-6);
}

TEST_F(InputNormalisation, RefusesWrongCounts) {
  const NormalisedRows rows = normalise(f32({2, 2}, {1, 2, 3, 4}));
  EXPECT_REFUSED(denormalise(f32({1, 2}, {1, 2}), rows.mean, rows.norm), "denormalise");
}

}  // namespace
}  // namespace sae
