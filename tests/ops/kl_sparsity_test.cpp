#include "ops/kl_sparsity/kl_sparsity.h"

#include "engine/not_finite.h"
#include "ops/sigmoid/sigmoid.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class KlSparsity : public DeviceTest {
 protected:
  static double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }
};
INSTANTIATE_TEST_SUITE_P(Devices, KlSparsity, every_device, device_name);

TEST_P(KlSparsity, ValuesByHand) {
  // Column means 0.25 and 0.5; the target 0.25 costs nothing in the first.
  const double expected = 0.25 * std::log(0.5) + 0.75 * std::log(1.5);
  EXPECT_NEAR(number(kl_sparsity(f64({2, 2}, {0.125, 0.75, 0.375, 0.25}), 0.25)), expected, 1e-15);
  EXPECT_EQ(number(kl_sparsity(f64({0, 2}, {}), 0.25)), 0);
}

TEST_P(KlSparsity, Gradient) {
  Parameter x = random_parameter(device_, "x", {6, 5}, 1);
  EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return kl_sparsity(sigmoid(tape.watch(x)), 0.05); }),
            gradient_tolerance);
}

TEST_P(KlSparsity, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      Parameter x("x", random_tensor(device_, {rows, cols}, Dtype::f32, 1));
      Parameter x64("x", x.value().to(Dtype::f64));
      Tape tape, tape64;
      const Variable loss = kl_sparsity(sigmoid(tape.watch(x)), 0.05);
      const Variable loss64 = kl_sparsity(sigmoid(tape64.watch(x64)), 0.05);
      EXPECT_NEAR(number(loss), number(loss64), 1e-6 * number(loss64));
      tape.backward(loss);
      tape64.backward(loss64);
      EXPECT_LT(worst_difference(materialize(x.gradient, device_, {rows, cols}, Dtype::f32),
                                 materialize(x64.gradient, device_, {rows, cols}, Dtype::f64)),
                2e-6);
    }
  }
}

TEST_P(KlSparsity, CloseOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_close(device_, 1e-6, [&](Device& device) {
      Parameter x("x", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      Tape tape;
      const Variable loss = kl_sparsity(sigmoid(tape.watch(x)), 0.05);
      tape.backward(loss);
      return std::vector<Value>{loss.value, materialize(x.gradient, device, {rows, cols}, Dtype::f32)};
    });
  });
}

TEST_P(KlSparsity, Refusals) {
  const Tensor z = f32({1, 2}, {0.5, 0.25});
  EXPECT_REFUSED(kl_sparsity(z, 0), "kl_sparsity: target 0");
  EXPECT_REFUSED(kl_sparsity(z, 1), "kl_sparsity: target 1");
  EXPECT_REFUSED(kl_sparsity(f32({1, 2}, {0.5, 0}), 0.1), "kl_sparsity: the mean of column 1 is 0");
  EXPECT_THROW(kl_sparsity(f32({1, 2}, {0.5, 1}), 0.1), NotFinite);
  EXPECT_REFUSED(kl_sparsity(Value(random_row_sparse(device_, 2, 4, 2, Dtype::f32, 1)), 0.1),
                 "kl_sparsity: expected a dense");
}

}  // namespace
}  // namespace sae
