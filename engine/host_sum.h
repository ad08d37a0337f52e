#pragma once

#include <cstdint>
#include <vector>

#include "engine/device.h"

namespace sae {

/// The numbers that the blocks of a kernel left in memory of a device, on the host. Waits for the device.
inline std::vector<double> numbers_of(Device& device, const void* numbers, int64_t count) {
  std::vector<double> values(static_cast<size_t>(count));
  device.copy_to_host(values.data(), numbers, values.size() * sizeof(double));
  return values;
}

/// Their sum, in order.
inline double sum_of(Device& device, const void* numbers, int64_t count) {
  double sum = 0;
  for (const double value : numbers_of(device, numbers, count)) sum += value;
  return sum;
}

}  // namespace sae
