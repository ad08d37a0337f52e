#include "engine/gradient.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class GradientOnDevice : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, GradientOnDevice, every_device, device_name);

std::vector<Value> every_layout(Device& device, int64_t rows, int64_t cols, Dtype dtype, uint64_t seed) {
  return {exact_tensor(device, {rows, cols}, dtype, seed),
          exact_row_sparse(device, rows, cols, (cols + 2) / 3, dtype, seed + 1),
          exact_compressed(device, rows, cols, dtype, seed + 2)};
}

TEST_P(GradientOnDevice, SumsInEveryMixtureOfLayouts) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      std::vector<Value> results;
      DensifyCount count;
      for (const Value& a : every_layout(device, rows, cols, Dtype::f32, 1)) {
        for (const Value& b : every_layout(device, rows, cols, Dtype::f32, 4)) {
          results.push_back(add(a, b, count));
          results.push_back(densify(results.back(), count));  // where two patterns meet, columns repeat
        }
        results.push_back(add(a, a, count));
        results.push_back(column_sum(a));
      }
      return results;
    });
  });
}

TEST_P(GradientOnDevice, ElementsAtTheStoredPlaces) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      const Tensor dense = exact_tensor(device, {rows, cols}, Dtype::f64, 1);
      return std::vector<Value>{elements_at(dense, exact_row_sparse(device, rows, cols, (cols + 1) / 2, Dtype::f64, 2)),
                                elements_at(dense, exact_compressed(device, rows, cols, Dtype::f64, 3))};
    });
  });
}

// Entries of a column are summed in the order of their rows on every device: bits are equal whatever the numbers.
TEST_P(GradientOnDevice, MaterialisesEveryKindOfTerm) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t latents : {1, 33, 257}) {
      expect_equal_bits(device_, [&](Device& device) {
        const Tensor dense = random_tensor(device, {rows, 33}, Dtype::f32, 1);
        RowsGradient listed{Tensor::from(device, {3}, std::vector<int32_t>{0, static_cast<int32_t>(latents - 1), 0}),
                            random_tensor(device, {3, 33}, Dtype::f32, 2), latents};
        Gradient gradient;
        gradient.add(
            DeferredProduct{random_row_sparse(device, rows, latents, (latents + 3) / 4, Dtype::f32, 3), dense});
        gradient.add(DeferredProduct{random_compressed(device, rows, latents, Dtype::f32, 5), dense});
        gradient.add(random_tensor(device, {latents, 33}, Dtype::f32, 7));
        gradient.add(std::move(listed));
        return std::vector<Value>{materialize(gradient, device, {latents, 33}, Dtype::f32)};
      });
    }
  }
}

TEST_P(GradientOnDevice, MaterialisesListedElementsOfAVector) {
  expect_equal_bits(device_, [](Device& device) {
    Gradient gradient;
    gradient.add(RowsGradient{Tensor::from(device, {4}, std::vector<int32_t>{5, 0, 5, 39}),
                              random_tensor(device, {4, 1}, Dtype::f32, 1), 40});
    gradient.add(random_tensor(device, {1, 40}, Dtype::f32, 2));
    return std::vector<Value>{materialize(gradient, device, {40}, Dtype::f32)};
  });
}

TEST_P(GradientOnDevice, InputsOnTwoDevicesAreRefused) {
  const auto other = Device::open(DeviceKind::simt);
  DensifyCount count;
  const Tensor here = f32({1, 2}, {1, 2}), there = here.to(*other);
  EXPECT_REFUSED(add(here, there, count), "gradient add: its inputs lie on two devices");
  EXPECT_REFUSED(elements_at(there, random_row_sparse(device_, 1, 2, 1, Dtype::f32, 1)), "elements_at: its inputs");
}

}  // namespace
}  // namespace sae
