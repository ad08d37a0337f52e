#include "ops/gated_relu/gated_relu.h"

#include <limits>

#include "ops/relu/relu.h"
#include "tests/support/devices.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class GatedRelu : public DeviceTest {
 protected:
  Tensor positive(Shape shape, Dtype dtype, uint64_t seed) {
    std::vector<double> values = to_double(random_tensor(device_, shape, Dtype::f32, seed));
    for (double& value : values) value = std::exp(0.3 * value);
    return f64(shape, values).to(dtype);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, GatedRelu, every_device, device_name);

TEST_P(GatedRelu, ValuesByHand) {
  const Tensor gate = f32({2}, {-1, 1}), scale = f32({2}, {2, 0.5}), bias = f32({2}, {0.5, -1});
  // u + gate > 0: 2 > 1; -0.5 + 1 > 0, whose magnitude is negative; 0.5 < 1; 4
  const Tensor z = std::get<Tensor>(gated_relu(f32({2, 2}, {2, -0.5, 0.5, 4}), gate, scale, bias).value);
  EXPECT_EQ(z.to_vector<float>(), (std::vector<float>{4.5f, 0, 0, 1}));
}

TEST_P(GatedRelu, GradientOfTheMagnitudePath) {
  Parameter u = random_parameter(device_, "u", {6, 9}, 1), bias = random_parameter(device_, "bias", {9}, 2);
  Parameter scale("scale", positive({9}, Dtype::f64, 3));
  const Tensor gate = random_tensor(device_, {9}, Dtype::f64, 4);
  const auto dense = [&](Tape& t) { return gated_relu(t.watch(u), gate, t.watch(scale), t.watch(bias)); };
  EXPECT_LT(gradient_error({&u, &scale, &bias}, dense), gradient_tolerance);
  EXPECT_LT(gradient_error({&u, &scale, &bias}, dense, random_row_sparse(device_, 6, 9, 4, Dtype::f64, 5)),
            gradient_tolerance);
  EXPECT_LT(gradient_error({&u, &scale, &bias}, dense, random_compressed(device_, 6, 9, Dtype::f64, 6)),
            gradient_tolerance);
  EXPECT_LT(gradient_error({&u, &scale, &bias}, [&](Tape& t) { return relu_compressed(dense(t)); }),
            gradient_tolerance);
}

TEST_P(GatedRelu, TheGateReceivesNone) {
  Parameter gate = random_parameter(device_, "gate", {9}, 1);
  const Tensor u = random_tensor(device_, {6, 9}, Dtype::f64, 2), bias = random_tensor(device_, {9}, Dtype::f64, 3);
  Tape tape;
  tape.backward(gated_relu(u, tape.watch(gate), positive({9}, Dtype::f64, 4), bias), u);
  EXPECT_TRUE(gate.gradient.empty());
}

TEST_P(GatedRelu, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor gate = random_tensor(device_, {cols}, Dtype::f32, 4);
      EXPECT_LT(
          float_error({random_tensor(device_, {rows, cols}, Dtype::f32, 1), positive({cols}, Dtype::f32, 2),
                       random_tensor(device_, {cols}, Dtype::f32, 3)},
                      [&](const auto& in) { return gated_relu(in[0], gate.to(dtype_of(in[0].value)), in[1], in[2]); }),
          2e-6);
    }
  }
}

TEST_P(GatedRelu, KeepsNotANumber) {
  const Tensor row = f32({1}, {1});
  const Variable z = gated_relu(f32({1, 1}, {std::numeric_limits<float>::quiet_NaN()}), row, row, row);
  EXPECT_TRUE(std::isnan(std::get<Tensor>(z.value).to_vector<float>()[0]));
}

TEST_P(GatedRelu, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter u("u", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      Parameter scale("scale", exact_tensor(device, {cols}, Dtype::f32, 2));
      Parameter bias("bias", exact_tensor(device, {cols}, Dtype::f32, 3));
      const Tensor gate = exact_tensor(device, {cols}, Dtype::f32, 4);
      Tape dense, sparse;
      const Variable z = gated_relu(dense.watch(u), gate, dense.watch(scale), dense.watch(bias));
      dense.backward(z, exact_tensor(device, {rows, cols}, Dtype::f32, 5));
      sparse.backward(gated_relu(sparse.watch(u), gate, sparse.watch(scale), sparse.watch(bias)),
                      exact_compressed(device, rows, cols, Dtype::f32, 6));
      std::vector<Value> results = {z.value};
      for (const Parameter* p : {&u, &scale, &bias}) {
        results.push_back(materialize(p->gradient, device, p->value().shape(), Dtype::f32));
      }
      return results;
    });
  });
}

TEST_P(GatedRelu, Refusals) {
  const Tensor u = f32({1, 2}, {1, 2}), row = f32({2}, {1, 1}), other = f32({3}, {1, 1, 1});
  EXPECT_REFUSED(gated_relu(u, other, row, row), "gated_relu: f32 [1, 2] with a gate bias f32 [3]");
  EXPECT_REFUSED(gated_relu(u, row, other, row), "gated_relu: f32 [1, 2] with a scale f32 [3]");
  EXPECT_REFUSED(gated_relu(u, row, row, other), "gated_relu: f32 [1, 2] with a magnitude bias f32 [3]");
  EXPECT_REFUSED(gated_relu(Value(random_row_sparse(device_, 1, 2, 1, Dtype::f32, 1)), row, row, row),
                 "gated_relu: expected a dense tensor");
}

}  // namespace
}  // namespace sae
