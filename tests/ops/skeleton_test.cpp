#include "ops/skeleton/skeleton.h"

#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class Skeleton : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Skeleton, every_device, device_name);

// Numbers that a reader can check without the code.
TEST_P(Skeleton, ValuesByHand) {
  const Tensor y = std::get<Tensor>(skeleton(f32({2, 2}, {4, -4, 0, -8}), 0.25).value);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{4, -1, 0, -2}));

  const RowSparse x{Columns(i32({1, 2}, {3, 1})), f32({1, 2}, {-8, 6}), 5};
  const RowSparse z = std::get<RowSparse>(skeleton(Value(x), 0.5).value);
  EXPECT_EQ(z.columns, x.columns);
  EXPECT_EQ(z.values.to_vector<float>(), (std::vector<float>{-4, 6}));
}

// Against central differences, with a random gradient in every layout that may arrive, and for every layout of x.
TEST_P(Skeleton, Gradient) {
  Parameter x = random_parameter(device_, "x", {6, 11}, 1);
  const Value row_sparse = random_row_sparse(device_, 6, 11, 4, Dtype::f64, 2);
  const Value compressed = random_compressed(device_, 6, 11, Dtype::f64, 3);
  const auto dense = [&](Tape& tape) { return skeleton(tape.watch(x), 0.3); };
  EXPECT_LT(gradient_error({&x}, dense), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, row_sparse), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, compressed), gradient_tolerance);
  for (const Value& pattern : {row_sparse, compressed}) {
    EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return skeleton(at_pattern(tape.watch(x), pattern), 0.3); }),
              gradient_tolerance);
  }
}

// Double is the reference; float must be its rounding, at the sizes where loops begin and end.
TEST_P(Skeleton, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor x = random_tensor(device_, {rows, cols}, Dtype::f32, 1);
      const Tensor g = random_tensor(device_, {rows, cols}, Dtype::f32, 2);
      Parameter p("x", x), p64("x", x.to(Dtype::f64));
      Tape tape, tape64;
      const Variable y = skeleton(tape.watch(p)), y64 = skeleton(tape64.watch(p64));
      EXPECT_LT(worst_difference(y.value, y64.value), 1e-7);
      tape.backward(y, g);
      tape64.backward(y64, g.to(Dtype::f64));
      EXPECT_LT(worst_difference(materialize(p.gradient, device_, x.shape(), Dtype::f32),
                                 materialize(p64.gradient, device_, x.shape(), Dtype::f64)),
                1e-7);
    }
  }
}

// The other devices against the processor: exact inputs leave no rounding, so the bits must be equal.
TEST_P(Skeleton, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter p("x", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      Tape tape;
      const Variable y = skeleton(tape.watch(p), 0.25);
      tape.backward(y, exact_tensor(device, {rows, cols}, Dtype::f32, 2));
      return std::vector<Value>{y.value, materialize(p.gradient, device, {rows, cols}, Dtype::f32)};
    });
  });
}

// What a caller can do wrong, each with the op's name in the message.
TEST_P(Skeleton, Refusals) {
  const Tensor x = f32({1}, {1});
  EXPECT_REFUSED(skeleton(x, -0.1), "skeleton: slope -0.1");
  EXPECT_REFUSED(skeleton(x, 1.0), "skeleton: slope 1");
  EXPECT_REFUSED(skeleton(x.to(Dtype::bf16)), "skeleton: expected f32 or f64");
  Parameter p = random_parameter(device_, "x", {3, 4}, 1);
  const Value pattern = random_row_sparse(device_, 3, 4, 2, Dtype::f64, 2);
  const Value other = random_row_sparse(device_, 3, 4, 2, Dtype::f64, 3);
  Tape tape;
  EXPECT_REFUSED(tape.backward(skeleton(at_pattern(tape.watch(p), pattern)), other), "skeleton backward: row-sparse");
}

}  // namespace
}  // namespace sae
