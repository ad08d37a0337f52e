#include "ops/first_columns/first_columns.h"

#include "tests/support/devices.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class FirstColumns : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, FirstColumns, every_device, device_name);

TEST_P(FirstColumns, ValuesByHandInEveryLayout) {
  const Tensor y = std::get<Tensor>(first_columns(f32({2, 3}, {1, 2, 3, 4, 5, 6}), 2).value);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{1, 2, 0, 4, 5, 0}));

  const RowSparse x{Columns(i32({2, 2}, {0, 2, 1, 2})), f32({2, 2}, {1, 2, 3, 4}), 3};
  const RowSparse z = std::get<RowSparse>(first_columns(Value(x), 2).value);
  EXPECT_EQ(z.columns, x.columns);
  EXPECT_EQ(z.values.to_vector<float>(), (std::vector<float>{1, 0, 3, 0}));

  const Value c = CompressedRows{i64({3}, {0, 2, 3}), i32({3}, {0, 1, 0}), f32({3}, {1, -2, 4}), 3};
  const Value prefix = first_columns(c, 1).value;
  EXPECT_TRUE(same_pattern(prefix, c));
  EXPECT_EQ(stored_values(prefix).to_vector<float>(), (std::vector<float>{1, 0, 4}));
  EXPECT_EQ(stored_values(first_columns(c, 0).value).to_vector<float>(), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(stored_values(first_columns(c, 3).value).to_vector<float>(), (std::vector<float>{1, -2, 4}));
}

TEST_P(FirstColumns, Gradient) {
  Parameter x = random_parameter(device_, "x", {6, 11}, 1);
  const Value row_sparse = random_row_sparse(device_, 6, 11, 4, Dtype::f64, 2);
  const Value compressed = random_compressed(device_, 6, 11, Dtype::f64, 3);
  const auto dense = [&](Tape& tape) { return first_columns(tape.watch(x), 5); };
  EXPECT_LT(gradient_error({&x}, dense), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, row_sparse), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, dense, compressed), gradient_tolerance);
  for (const Value& pattern : {row_sparse, compressed}) {
    EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return first_columns(at_pattern(tape.watch(x), pattern), 5); }),
              gradient_tolerance);
  }
}

TEST_P(FirstColumns, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      EXPECT_EQ(float_error({random_tensor(device_, {rows, cols}, Dtype::f32, 1)},
                            [&](const auto& in) { return first_columns(in[0], cols / 2); }),
                0);
    }
  }
}

TEST_P(FirstColumns, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter x("x", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      const Value sparse = exact_compressed(device, rows, cols, Dtype::f32, 2);
      Tape tape;
      const Variable y = first_columns(tape.watch(x), cols / 2);
      tape.backward(y, sparse);
      return std::vector<Value>{y.value, first_columns(sparse, cols / 2).value,
                                materialize(x.gradient, device, {rows, cols}, Dtype::f32)};
    });
  });
}

TEST_P(FirstColumns, Refusals) {
  const Tensor x = f32({1, 2}, {1, 2});
  EXPECT_REFUSED(first_columns(x, -1), "first_columns: expected 0 to 2 columns, got -1");
  EXPECT_REFUSED(first_columns(x, 3), "first_columns: expected 0 to 2 columns, got 3");
  EXPECT_REFUSED(first_columns(i32({1}, {1}), 1), "first_columns: expected f32 or f64");
  Parameter p = random_parameter(device_, "x", {3, 4}, 1);
  const Value pattern = random_row_sparse(device_, 3, 4, 2, Dtype::f64, 2);
  const Value other = random_row_sparse(device_, 3, 4, 2, Dtype::f64, 3);
  Tape tape;
  EXPECT_REFUSED(tape.backward(first_columns(at_pattern(tape.watch(p), pattern), 2), other),
                 "first_columns backward: row-sparse");
}

}  // namespace
}  // namespace sae
