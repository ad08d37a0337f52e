#include "engine/tensor.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

static_assert(!std::is_copy_constructible_v<Writable> && std::is_move_constructible_v<Writable>);

class TensorTest : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, TensorTest, every_device, device_name);

TEST_P(TensorTest, HoldsWhatItWasGiven) {
  const Tensor t = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(t.rows(), 2);
  EXPECT_EQ(t.cols(), 3);
  EXPECT_EQ(t.bytes(), 24);
  EXPECT_EQ(t.describe(), "f32 [2, 3]");
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(&t.device(), &device_);
  EXPECT_EQ(Tensor::scalar(device_, 2.5).to_vector<double>(), (std::vector<double>{2.5}));
  EXPECT_EQ(Tensor::zeros(device_, {2, 2}, Dtype::i64).to_vector<int64_t>(), (std::vector<int64_t>(4, 0)));
  EXPECT_EQ(Tensor::from(device_, {0, 3}, std::vector<float>{}).rows(), 0);
}

TEST_P(TensorTest, ACopySharesMemoryAndAWritableFreezes) {
  Writable writable = Tensor::empty(device_, {2}, Dtype::f32);
  device_.clear(writable.raw(), 8);
  const void* memory = writable.raw();
  const Tensor t = std::move(writable).freeze();
  const Tensor copy = t;
  EXPECT_EQ(t.raw(), memory);
  EXPECT_TRUE(copy.same_memory(t));
  EXPECT_FALSE(f32({2}, {7, 8}).same_memory(t));
}

TEST_P(TensorTest, SlicesAreViewsOfRows) {
  const Tensor t = f32({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor middle = t.slice_rows(1, 3);
  EXPECT_EQ(middle.to_vector<float>(), (std::vector<float>{3, 4, 5, 6}));
  EXPECT_EQ(middle.data<float>(), t.data<float>() + 2);
  EXPECT_EQ(middle.slice_rows(1, 2).to_vector<float>(), (std::vector<float>{5, 6}));
  EXPECT_FALSE(middle.same_memory(t));
  EXPECT_TRUE(t.slice_rows(0, 1).same_memory(t));
  EXPECT_EQ(t.slice_rows(2, 2).elements(), 0);
  // Leading extents count as rows.
  EXPECT_EQ(f32({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}).slice_rows(3, 4).to_vector<float>(), (std::vector<float>{7, 8}));
  EXPECT_REFUSED(t.slice_rows(-1, 2), "expected 0 <= begin <= end <= 4");
  EXPECT_REFUSED(t.slice_rows(3, 2), "slice_rows");
  EXPECT_REFUSED(t.slice_rows(0, 5), "slice_rows");
}

TEST_P(TensorTest, AnotherShapeOfTheSameMemory) {
  const Tensor t = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(t.with_shape({3, 2}).same_memory(t));
  EXPECT_EQ(t.with_shape({6}).shape(), Shape({6}));
  EXPECT_REFUSED(t.with_shape({4}), "[2, 3] has 6 elements, [4] has 4");
}

TEST_P(TensorTest, ConvertsAmongFloatingTypes) {
  const Tensor t = f32({3}, {1.0f, 1.00390625f, -3.14159274f});
  EXPECT_TRUE(t.to(Dtype::f32).same_memory(t));
  EXPECT_EQ(t.to(Dtype::f64).to_vector<double>(), (std::vector<double>{1.0, 1.00390625, -3.1415927410125732}));
  EXPECT_EQ(t.to(Dtype::f64).to(Dtype::f32).to_vector<float>(), t.to_vector<float>());
  const Tensor rounded = t.to(Dtype::bf16);
  EXPECT_EQ(rounded.bytes(), 6);
  EXPECT_EQ(rounded.to(Dtype::f32).to_vector<float>(), (std::vector<float>{1.0f, 1.0f, -3.140625f}));
  EXPECT_EQ(rounded.to(Dtype::f64).to(Dtype::bf16).to(Dtype::f32).to_vector<float>(),
            rounded.to(Dtype::f32).to_vector<float>());
  EXPECT_REFUSED(i32({1}, {1}).to(Dtype::f32), "convert");
  EXPECT_REFUSED(t.to(Dtype::i32), "convert");
}

TEST_P(TensorTest, ConvertsLikeTheProcessor) {
  for (const int64_t count : edge_sizes) {
    expect_equal_bits(device_, [&](Device& device) {
      const Tensor t = random_tensor(device, {count}, Dtype::f64, 1);
      return std::vector<Value>{t.to(Dtype::f32), t.to(Dtype::bf16), t.to(Dtype::bf16).to(Dtype::f32),
                                t.to(Dtype::f32).to(Dtype::f64), t.to(Dtype::bf16).to(Dtype::f64)};
    });
  }
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(f32({1}, {nan}).to(Dtype::bf16).to(Dtype::f32).item<float>()));
}

TEST_P(TensorTest, MovesBetweenDevices) {
  const Tensor t = f32({2}, {1, 2});
  EXPECT_TRUE(t.to(device_).same_memory(t));
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::simt}) {
    const auto other = Device::open(kind);
    const Tensor there = t.to(*other);
    EXPECT_EQ(&there.device(), other.get());
    EXPECT_EQ(there.to_vector<float>(), t.to_vector<float>());
    EXPECT_EQ(there.to(device_).to_vector<float>(), t.to_vector<float>());
    EXPECT_REFUSED(require_same_device("some_op", {&t, &there}), "some_op: its inputs lie on two devices");
  }
}

TEST_P(TensorTest, CopiesAreTheirOwn) {
  const Tensor t = f32({2}, {1, 2});
  const Tensor copy = t.clone();
  EXPECT_FALSE(copy.same_memory(t));
  EXPECT_EQ(copy.to_vector<float>(), t.to_vector<float>());
  Tensor shared = t;
  Writable other = std::move(shared).into_writable();  // t still holds the memory
  EXPECT_NE(other.raw(), t.raw());
  device_.clear(other.raw(), 8);
  EXPECT_EQ(t.to_vector<float>(), (std::vector<float>{1, 2}));
  Tensor frozen = std::move(other).freeze();
  const void* memory = frozen.raw();
  EXPECT_EQ(std::move(frozen).into_writable().raw(), memory);
}

TEST_P(TensorTest, OneNumber) {
  EXPECT_EQ(f64({1, 1}, {2.5}).item<double>(), 2.5);
  EXPECT_REFUSED(f64({2}, {1, 2}).item<double>(), "one number was asked of f64 [2]");
  EXPECT_REFUSED(f64({1}, {1}).item<float>(), "elements are f64, read as f32");
}

TEST_P(TensorTest, Refusals) {
  const Tensor t = f32({2}, {1, 2});
  EXPECT_REFUSED(f32({3}, {1, 2}), "shape [3] has 3 elements, got 2 values");
  EXPECT_REFUSED(t.data<double>(), "elements are f32, read as f64");
  EXPECT_REFUSED(Tensor().raw(), "before it was given a value");
  EXPECT_EQ(Tensor().describe(), "undefined");
  // 2^61 doubles are 2^64 bytes, which a 64-bit product would call none.
  EXPECT_REFUSED(Tensor::empty(device_, {int64_t{1} << 61}, Dtype::f64), "tensor: f64 [2305843009213693952]");
}

}  // namespace
}  // namespace sae
