#include "ops/l1_penalty/l1_penalty.h"

#include "engine/parallel.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }

class L1Penalty : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, L1Penalty, every_device, device_name);

TEST_P(L1Penalty, ValuesByHand) {
  const Tensor z = f32({2, 3}, {1, -2, 0, 4, 0, 0});
  EXPECT_EQ(number(l1_penalty(z)), 3.5);
  EXPECT_EQ(number(l1_penalty(z, f32({2}, {2, 8}))), 1.0);  // (3 / 2 + 4 / 8) / 2
  EXPECT_EQ(std::get<Tensor>(l1_penalty(z).value).shape(), Shape({1}));

  const Value row_sparse = RowSparse{Columns(i32({2, 2}, {0, 1, 0, 2})), f32({2, 2}, {1, -2, 4, 0}), 3};
  EXPECT_EQ(number(l1_penalty(row_sparse, f32({2}, {2, 8}))), 1.0);
  const Value compressed = CompressedRows{i64({3}, {0, 2, 3}), i32({3}, {0, 1, 0}), f32({3}, {1, -2, 4}), 3};
  EXPECT_EQ(number(l1_penalty(compressed, f32({2}, {2, 8}))), 1.0);
}

TEST_P(L1Penalty, GradientKeepsLayoutAndPattern) {
  Parameter x("x", f32({2, 3}, {1, -2, 0, 4, 0, 0}));
  Tape tape;
  tape.backward(l1_penalty(tape.watch(x), f32({2}, {2, 8})));
  EXPECT_EQ(materialize(x.gradient, device_, {2, 3}, Dtype::f32).to_vector<float>(),
            (std::vector<float>{0.25f, -0.25f, 0, 0.0625f, 0, 0}));

  Parameter z = random_parameter(device_, "z", {6, 9}, 1);
  const Tensor norms = f64({6}, {0.5, 1, 2, 3, 4, 5});
  for (const Value& pattern : {Value(z.value()), Value(random_row_sparse(device_, 6, 9, 3, Dtype::f64, 2)),
                               Value(random_compressed(device_, 6, 9, Dtype::f64, 3))}) {
    for (const Tensor& divisor : {Tensor(), norms}) {
      EXPECT_LT(gradient_error({&z}, [&](Tape& t) { return l1_penalty(at_pattern(t.watch(z), pattern), divisor); }),
                gradient_tolerance);
    }
    Tape t;
    t.backward(l1_penalty(at_pattern(t.watch(z), pattern), norms));
    for (const TapeReport::Row& row : t.report().rows) {
      if (row.name == "at_pattern") {
        EXPECT_EQ(row.gradient, describe(pattern));
      }
    }
  }
}

TEST_P(L1Penalty, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      std::vector<float> lengths;
      for (int64_t row = 0; row < rows; ++row) lengths.push_back(0.5f + static_cast<float>(row));
      const Tensor norms = f32({rows}, lengths);
      const Tensor dense = random_tensor(device_, {rows, cols}, Dtype::f32, 1);
      std::vector<Value> layouts = {dense, random_compressed(device_, rows, cols, Dtype::f32, 2)};
      if (cols > 0) layouts.push_back(random_row_sparse(device_, rows, cols, (cols + 1) / 2, Dtype::f32, 3));
      for (const Value& z : layouts) {
        const Value z64 = converted(z, Dtype::f64);
        EXPECT_NEAR(number(l1_penalty(z, norms)), number(l1_penalty(z64, norms.to(Dtype::f64))),
                    1e-7 * number(l1_penalty(z64, norms.to(Dtype::f64))));
        const Tensor full = Tensor::from(device_, {rows, cols}, dense_values(z));
        Parameter p("z", full.to(Dtype::f32)), p64("z", full);
        Tape tape, tape64;
        tape.backward(l1_penalty(at_pattern(tape.watch(p), z), norms));
        tape64.backward(l1_penalty(at_pattern(tape64.watch(p64), z64), norms.to(Dtype::f64)));
        EXPECT_LT(worst_difference(materialize(p.gradient, device_, {rows, cols}, Dtype::f32),
                                   materialize(p64.gradient, device_, {rows, cols}, Dtype::f64)),
                  1e-7);
      }
    }
  }
}

TEST_P(L1Penalty, AgreesOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_close(device_, 1e-6, [&](Device& device) {
      std::vector<Value> results;
      for (const Value& pattern : {Value(exact_tensor(device, {rows, cols}, Dtype::f32, 1)),
                                   Value(exact_compressed(device, rows, cols, Dtype::f32, 2)),
                                   Value(exact_row_sparse(device, rows, cols, (cols + 1) / 2, Dtype::f32, 3))}) {
        Parameter z("z", exact_tensor(device, {rows, cols}, Dtype::f32, 4));
        Tape tape;
        const Variable loss = l1_penalty(at_pattern(tape.watch(z), pattern));
        tape.backward(loss);
        results.insert(results.end(), {loss.value, materialize(z.gradient, device, {rows, cols}, Dtype::f32)});
      }
      return results;
    });
  });
}

TEST_P(L1Penalty, SameBitsWithAnyNumberOfThreads) {
  const Tensor z = random_tensor(device_, {300, 577}, Dtype::f32, 1);
  const int before = threads();
  set_threads(1);
  const double one = number(l1_penalty(z));
  set_threads(3);
  EXPECT_EQ(number(l1_penalty(z)), one);
  set_threads(before);
}

TEST_P(L1Penalty, Refusals) {
  const Tensor z = f32({2, 2}, {1, 2, 3, 4});
  EXPECT_REFUSED(l1_penalty(z, f32({3}, {1, 2, 3})), "l1_penalty: 2 rows of f32 with norms f32 [3]");
  EXPECT_REFUSED(l1_penalty(z, f64({2}, {1, 2})), "l1_penalty");
  EXPECT_REFUSED(l1_penalty(z, f32({2}, {1, 0})), "l1_penalty: the norm of row 1 is 0");
  EXPECT_REFUSED(l1_penalty(z.to(Dtype::bf16)), "l1_penalty: expected f32 or f64");
}

}  // namespace
}  // namespace sae
