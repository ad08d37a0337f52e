#include "engine/scan_cuda.h"

#include "engine/simt.h"

#if defined(__CUDACC__)
#include <cub/device/device_scan.cuh>
#else
#include <numeric>
#endif

namespace sae::SIMT_NAMESPACE {

void inclusive_sum([[maybe_unused]] Device& device, int64_t* values, int64_t count) {
  if (count == 0) return;
#if defined(__CUDACC__)
  const auto scan = [&](void* scratch, size_t& bytes) {
    check(cub::DeviceScan::InclusiveSum(scratch, bytes, values, values, count,
                                        static_cast<cudaStream_t>(device.stream().handle())),
          "scan");
  };
  size_t bytes = 0;
  scan(nullptr, bytes);
  const auto scratch = device.allocate(bytes);
  scan(scratch->data(), bytes);
#else
  std::partial_sum(values, values + count, values);
#endif
}

}  // namespace sae::SIMT_NAMESPACE
