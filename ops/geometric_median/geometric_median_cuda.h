#pragma once

#include <cstdint>
#include <vector>

#include "engine/stream.h"
#include "ops/geometric_median/geometric_median_cpu.h"

namespace sae {

/// cpu::weiszfeld_sums of points on a device; waits for them.
SIMT_DECLARE(template <class T> cpu::WeiszfeldSums weiszfeld_sums(Device& device, const T* x, int64_t rows,
                                                                  int64_t width, const std::vector<double>& y))

}  // namespace sae
