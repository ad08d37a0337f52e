#include "ops/weight_averaging/weight_averaging.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class WeightAveraging : public DeviceTest {
 protected:
  void set(Parameter& p, const std::vector<float>& values) { p.assign(f32(p.value().shape(), values)); }
};
INSTANTIATE_TEST_SUITE_P(Devices, WeightAveraging, every_device, device_name);

TEST_P(WeightAveraging, ValuesByHand) {
  Parameter p("w", f32({2}, {8, -4}));
  WeightAverage average(p, 0.5);
  average.update(p);
  EXPECT_EQ(average.raw().to_vector<float>(), (std::vector<float>{4, -2}));
  EXPECT_EQ(average.value().to_vector<float>(), (std::vector<float>{8, -4})) << "one value is its own average";
  set(p, {2, 0});
  average.update(p);
  EXPECT_EQ(average.raw().to_vector<float>(), (std::vector<float>{3, -1}));
  // Weights 1/4 and 1/2 of 3/4.
  EXPECT_FLOAT_EQ(average.value().to_vector<float>()[0], 4.0f);
  EXPECT_FLOAT_EQ(average.value().to_vector<float>()[1], -4.0f / 3.0f);
  EXPECT_EQ(average.updates(), 2);
  EXPECT_EQ(p.value().to_vector<float>(), (std::vector<float>{2, 0}));
}

TEST_P(WeightAveraging, AConstantIsItsOwnAverageAtAnyTimeAndDecay) {
  const Parameter p("w", random_tensor(device_, {33, 31}, Dtype::f32, 1));
  for (const double decay : {0.0, 0.5, 0.999, 0.99999}) {
    WeightAverage average(p, decay);
    for (int i = 0; i < 20; ++i) average.update(p);
    EXPECT_LT(worst_difference(average.value(), p.value()), 2e-6) << decay;
  }
}

TEST_P(WeightAveraging, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      Parameter p("w", Tensor::zeros(device_, {rows, cols}, Dtype::f32));
      Parameter p64("w", Tensor::zeros(device_, {rows, cols}, Dtype::f64));
      WeightAverage average(p, 0.9), average64(p64, 0.9);
      for (uint64_t step = 0; step < 5; ++step) {
        const Tensor next = random_tensor(device_, {rows, cols}, Dtype::f32, step);
        p.assign(next);
        p64.assign(next.to(Dtype::f64));
        average.update(p);
        average64.update(p64);
      }
      EXPECT_LT(worst_difference(average.value(), average64.value()), 1e-6);
    }
  }
}

TEST_P(WeightAveraging, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {  // the same products and sums, whatever the numbers
      Parameter p("w", random_tensor(device, {rows, cols}, Dtype::f32, 1));
      WeightAverage average(p, 0.9);
      for (uint64_t step = 2; step < 5; ++step) {
        average.update(p);
        p.assign(random_tensor(device, {rows, cols}, Dtype::f32, step));
      }
      return std::vector<Value>{average.value(), average.raw()};
    });
  });
}

TEST_P(WeightAveraging, RestoredStateGoesOnWithTheSameBits) {
  Parameter p("w", random_tensor(device_, {3, 5}, Dtype::f32, 1));
  WeightAverage whole(p, 0.99), first(p, 0.99);
  for (int i = 0; i < 3; ++i) {
    whole.update(p);
    first.update(p);
    set(p, random_tensor(device_, {3, 5}, Dtype::f32, static_cast<uint64_t>(i) + 2).to_vector<float>());
  }
  WeightAverage second(p, 0.99);
  second.restore(first.raw(), first.updates());
  first.update(p);  // the restored one has a copy of its own
  whole.update(p);
  second.update(p);
  EXPECT_EQ(second.value().to_vector<float>(), whole.value().to_vector<float>());
  EXPECT_EQ(second.updates(), 4);
}

TEST_P(WeightAveraging, Refusals) {
  const Parameter p("w", f32({2}, {1, 2})), other("v", f32({3}, {1, 2, 3})), integers("i", i32({1}, {1}));
  EXPECT_REFUSED(WeightAverage(p, 1.0), "weight_averaging: decay 1");
  EXPECT_REFUSED(WeightAverage(p, -0.1), "weight_averaging: decay");
  EXPECT_REFUSED(WeightAverage(p, std::nan("")), "weight_averaging: decay");
  EXPECT_REFUSED(WeightAverage(integers, 0.5), "weight_averaging: expected f32 or f64");
  WeightAverage average(p, 0.5);
  EXPECT_REFUSED(average.value(), "weight_averaging: the average of 'w' was read before");
  EXPECT_REFUSED(average.update(other), "weight_averaging: 'v' is f32 [3]");
  EXPECT_REFUSED(average.restore(other.value(), 1), "weight_averaging");
  EXPECT_REFUSED(average.restore(p.value(), -1), "weight_averaging");
}

}  // namespace
}  // namespace sae
