#include "ops/prolu/prolu.h"

#include <limits>

#include "ops/relu/relu.h"
#include "tests/support/devices.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

constexpr ProluGradient kinds[] = {ProluGradient::relu, ProluGradient::straight_through};

class Prolu : public DeviceTest {
 protected:
  /// The gradients of m and of b for a gradient g of y.
  std::pair<std::vector<double>, std::vector<double>> gradients(const Tensor& m, const Tensor& b, ProluGradient kind,
                                                                const Value& g) {
    Parameter pm("m", m.clone()), pb("b", b.clone());
    Tape tape;
    tape.backward(prolu(tape.watch(pm), tape.watch(pb), kind), g);
    return {to_double(materialize(pm.gradient, device_, m.shape(), m.dtype())),
            to_double(materialize(pb.gradient, device_, b.shape(), b.dtype()))};
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, Prolu, every_device, device_name);

// A positive bias opens no gate of a negative m, and what passes is m without the bias.
TEST_P(Prolu, ValuesByHand) {
  const Tensor b = f32({3}, {1, -2, 0});
  for (const ProluGradient kind : kinds) {
    const Tensor y = std::get<Tensor>(prolu(f32({3, 3}, {2, 3, 4, -0.5, 2, 0, 0.25, 1, -1}), b, kind).value);
    EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{2, 3, 4, 0, 0, 0, 0.25f, 0, 0}));
  }
}

// The definitions of Taggart (2024), by hand: on open gates dm = g, db = g; or dm = g (1 + m), db = g m.
TEST_P(Prolu, PseudoGradientsByHand) {
  const Tensor m = f64({2, 3}, {2, 3, 4, 5, 1, -1}), b = f64({3}, {1, -2, 0});
  const Tensor g = f64({2, 3}, {10, 20, 30, 40, 50, 60});  // open: all of row 0, and [1, 0]
  const auto relu_like = gradients(m, b, ProluGradient::relu, g);
  EXPECT_EQ(relu_like.first, (std::vector<double>{10, 20, 30, 40, 0, 0}));
  EXPECT_EQ(relu_like.second, (std::vector<double>{50, 20, 30}));
  const auto straight = gradients(m, b, ProluGradient::straight_through, g);
  EXPECT_EQ(straight.first, (std::vector<double>{30, 80, 150, 240, 0, 0}));
  EXPECT_EQ(straight.second, (std::vector<double>{220, 60, 120}));
}

TEST_P(Prolu, ASparseGradientIsItsDenseOneAtThosePlaces) {
  const Tensor m = random_tensor(device_, {6, 9}, Dtype::f64, 1), b = random_tensor(device_, {9}, Dtype::f64, 2);
  for (const Value& g : {Value(random_row_sparse(device_, 6, 9, 4, Dtype::f64, 3)),
                         Value(random_compressed(device_, 6, 9, Dtype::f64, 4))}) {
    DensifyCount ignored;
    for (const ProluGradient kind : kinds) {
      const auto sparse = gradients(m, b, kind, g), dense = gradients(m, b, kind, densify(g, ignored));
      EXPECT_EQ(sparse.first, dense.first);
      EXPECT_LT(worst_difference(sparse.second, dense.second), 1e-15);
    }
  }
}

// Where b shifts nothing, the pseudo-gradient of m is the derivative: y = m on open gates.
TEST_P(Prolu, GradientOfMIsTheDerivative) {
  Parameter m = random_parameter(device_, "m", {5, 7}, 1);
  const Tensor b = random_tensor(device_, {7}, Dtype::f64, 2);
  EXPECT_LT(gradient_error({&m}, [&](Tape& tape) { return prolu(tape.watch(m), b, ProluGradient::relu); }),
            gradient_tolerance);
  EXPECT_LT(
      gradient_error({&m}, [&](Tape& tape) { return relu_compressed(prolu(tape.watch(m), b, ProluGradient::relu)); }),
      gradient_tolerance);
}

TEST_P(Prolu, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor m = random_tensor(device_, {rows, cols}, Dtype::f32, 1),
                   b = random_tensor(device_, {cols}, Dtype::f32, 2);
      for (const ProluGradient kind : kinds) {
        EXPECT_LT(float_error({m, b}, [&](const auto& in) { return prolu(in[0], in[1], kind); }), 1e-6);
      }
    }
  }
}

TEST_P(Prolu, KeepsNotANumber) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const Variable y = prolu(f32({1, 2}, {nan, -1}), f32({2}, {1, 1}), ProluGradient::relu);
  EXPECT_TRUE(std::isnan(std::get<Tensor>(y.value).to_vector<float>()[0]));
}

TEST_P(Prolu, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    for (const ProluGradient kind : kinds) {
      expect_equal_bits(device_, [&](Device& device) {
        Parameter m("m", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
        Parameter b("b", exact_tensor(device, {cols}, Dtype::f32, 2));
        Tape dense, sparse;
        const Variable y = prolu(dense.watch(m), dense.watch(b), kind);
        dense.backward(y, exact_tensor(device, {rows, cols}, Dtype::f32, 3));
        sparse.backward(prolu(sparse.watch(m), sparse.watch(b), kind),
                        exact_compressed(device, rows, cols, Dtype::f32, 4));
        return std::vector<Value>{y.value, materialize(m.gradient, device, {rows, cols}, Dtype::f32),
                                  materialize(b.gradient, device, {cols}, Dtype::f32)};
      });
    }
  });
}

TEST_P(Prolu, Refusals) {
  const Tensor m = f32({1, 2}, {1, 2});
  EXPECT_REFUSED(prolu(m, f32({3}, {1, 2, 3}), ProluGradient::relu), "prolu: f32 [1, 2] with a bias f32 [3]");
  EXPECT_REFUSED(prolu(m, f64({2}, {1, 2}), ProluGradient::relu), "prolu");
  EXPECT_REFUSED(
      prolu(Value(random_row_sparse(device_, 1, 2, 1, Dtype::f32, 1)), f32({2}, {1, 2}), ProluGradient::relu),
      "prolu: expected a dense tensor");
  EXPECT_REFUSED(prolu(m.to(Dtype::bf16), f32({2}, {1, 2}).to(Dtype::bf16), ProluGradient::relu),
                 "prolu: expected f32 or f64");
}

}  // namespace
}  // namespace sae
