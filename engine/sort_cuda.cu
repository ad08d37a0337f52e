#include "engine/sort_cuda.h"

#include "engine/simt.h"

#if defined(__CUDACC__)
#include <cub/device/device_radix_sort.cuh>
#else
#include <numeric>
#include <vector>
#endif

namespace sae::SIMT_NAMESPACE {

void stable_sort_pairs([[maybe_unused]] Device& device, const int32_t* keys, int32_t* sorted_keys,
                       const int32_t* values, int32_t* sorted_values, int64_t count, [[maybe_unused]] int key_bits) {
  if (count == 0) return;
#if defined(__CUDACC__)
  const auto sort = [&](void* scratch, size_t& bytes) {
    check(cub::DeviceRadixSort::SortPairs(scratch, bytes, keys, sorted_keys, values, sorted_values, count, 0, key_bits,
                                          static_cast<cudaStream_t>(device.stream().handle())),
          "sort");
  };
  size_t bytes = 0;
  sort(nullptr, bytes);
  const auto scratch = device.allocate(bytes);
  sort(scratch->data(), bytes);
#else
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
  for (int64_t i = 0; i < count; ++i) {
    sorted_keys[i] = keys[order[static_cast<size_t>(i)]];
    sorted_values[i] = values[order[static_cast<size_t>(i)]];
  }
#endif
}

}  // namespace sae::SIMT_NAMESPACE
