#include "ops/error_sums/error_sums.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class ErrorSumsTest : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, ErrorSumsTest, every_device, device_name);

TEST_P(ErrorSumsTest, ByHand) {
  // Errors (1, 0) and (0, 2); deviations from the mean (1, 0): (1, 0) and (-1, 4).
  ErrorSums sums(f64({2}, {1, 0}));
  const Tensor x = f64({2, 2}, {2, 0, 0, 4}), y = f64({2, 2}, {1, 0, 0, 2});
  const RowSparse latents{Columns(i32({2, 2}, {0, 2, 1, 2})), f64({2, 2}, {1.5, 0.5, 0, 2}), 3};
  for (int batch = 1; batch <= 2; ++batch) {
    const std::vector<RowErrors> rows = sums.add(x, y, latents);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].error, 1);
    EXPECT_EQ(rows[0].energy, 1);
    EXPECT_EQ(rows[0].squares, 4);
    EXPECT_EQ(rows[0].latents, 2);
    EXPECT_EQ(rows[1].error, 4);
    EXPECT_EQ(rows[1].energy, 17);
    EXPECT_EQ(rows[1].squares, 16);
    EXPECT_EQ(rows[1].latents, 2);
    EXPECT_EQ(sums.x_sum(), (std::vector<double>{2.0 * batch, 4.0 * batch}));
    EXPECT_EQ(sums.error_sum(), (std::vector<double>{1.0 * batch, 2.0 * batch}));
  }
}

// Multiples of 1/16: every order of additions is exact, in double above all.
TEST_P(ErrorSumsTest, EdgeSizesInEveryLayoutAgainstPlainSums) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const int64_t width : edge_sizes) {
      for (const int64_t rows : {int64_t{0}, int64_t{1}, int64_t{33}}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << width);
        const Tensor x = exact_tensor(device_, {rows, width}, dtype, 1),
                     y = exact_tensor(device_, {rows, width}, dtype, 2);
        const Tensor mean = exact_tensor(device_, {width}, dtype, 3);
        const std::vector<Value> layouts = {exact_tensor(device_, {rows, 40}, dtype, 4),
                                            exact_row_sparse(device_, rows, 40, 3, dtype, 5),
                                            exact_compressed(device_, rows, 40, dtype, 6)};
        for (const Value& latents : layouts) {
          const std::vector<double> from = to_double(x), to = to_double(y), about = to_double(mean),
                                    z = dense_values(latents);
          ErrorSums sums(mean);
          const std::vector<RowErrors> found = sums.add(x, y, latents);
          ASSERT_EQ(static_cast<int64_t>(found.size()), rows);
          std::vector<double> x_sum(static_cast<size_t>(width), 0.0), error_sum = x_sum;
          for (int64_t row = 0; row < rows; ++row) {
            RowErrors expected;
            for (int64_t i = 0; i < width; ++i) {
              const auto at = static_cast<size_t>(row * width + i), col = static_cast<size_t>(i);
              const double error = from[at] - to[at], centred = from[at] - about[col];
              expected.error += error * error;
              expected.energy += centred * centred;
              expected.squares += from[at] * from[at];
              x_sum[col] += from[at];
              error_sum[col] += error;
            }
            for (int64_t j = 0; j < 40; ++j) expected.latents += z[static_cast<size_t>(row * 40 + j)];
            const RowErrors& actual = found[static_cast<size_t>(row)];
            EXPECT_EQ(actual.error, expected.error);
            EXPECT_EQ(actual.energy, expected.energy);
            EXPECT_EQ(actual.squares, expected.squares);
            EXPECT_EQ(actual.latents, expected.latents);
          }
          EXPECT_EQ(sums.x_sum(), x_sum);
          EXPECT_EQ(sums.error_sum(), error_sum);
        }
      }
    }
  }
}

TEST_P(ErrorSumsTest, Refusals) {
  ErrorSums sums(f64({2}, {1, 0}));
  const Tensor x = f64({1, 2}, {1, 2}), latents = f64({1, 3}, {1, 2, 3});
  EXPECT_REFUSED(sums.add(f64({1, 3}, {1, 2, 3}), f64({1, 3}, {1, 2, 3}), latents), "error_sums: rows");
  EXPECT_REFUSED(sums.add(x, f64({2, 1}, {1, 2}), latents), "error_sums: rows");
  EXPECT_REFUSED(sums.add(x, x, f64({2, 1}, {1, 2})), "error_sums: rows");
  EXPECT_REFUSED(sums.add(x, f32({1, 2}, {1, 2}), latents), "error_sums: rows");
  EXPECT_REFUSED(sums.add(x, x, f32({1, 3}, {1, 2, 3})), "error_sums: rows");
  const auto other = Device::open(device_.kind() == DeviceKind::cpu ? DeviceKind::simt : DeviceKind::cpu);
  EXPECT_REFUSED(sums.add(x.to(*other), x, latents), "error_sums");
}

}  // namespace
}  // namespace sae
