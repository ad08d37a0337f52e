#include "ops/geometric_median/geometric_median_cpu.h"

#include <cmath>

#include "engine/ordered_sum.h"

namespace sae::cpu {

template <class T>
WeiszfeldSums weiszfeld_sums(const T* x, int64_t rows, int64_t width, const std::vector<double>& y) {
  constexpr int64_t block = 512;  // rows whose sums are formed by one thread
  std::vector<WeiszfeldSums> parts(static_cast<size_t>((rows + block - 1) / block));
  parallel_for(rows, block, [&](int64_t begin, int64_t end) {
    WeiszfeldSums part;
    part.weighted.assign(static_cast<size_t>(width), 0.0);
    double* sum = part.weighted.data();
    const double* place = y.data();
    for (int64_t row = begin; row < end; ++row) {
      const T* point = x + row * width;
      const double distance = std::sqrt(lane_sum(width, [&](int64_t i) {
        const double difference = static_cast<double>(point[i]) - place[i];
        return difference * difference;
      }));
      if (distance == 0) {
        ++part.coinciding;
        continue;
      }
      part.distance += distance;
      part.weight += 1 / distance;
      for (int64_t i = 0; i < width; ++i) sum[i] += static_cast<double>(point[i]) / distance;
    }
    parts[static_cast<size_t>(begin / block)] = std::move(part);
  });
  WeiszfeldSums total;
  total.weighted.assign(static_cast<size_t>(width), 0.0);
  for (const WeiszfeldSums& part : parts) {
    for (size_t i = 0; i < part.weighted.size(); ++i) total.weighted[i] += part.weighted[i];
    total.weight += part.weight;
    total.distance += part.distance;
    total.coinciding += part.coinciding;
  }
  return total;
}

template WeiszfeldSums weiszfeld_sums<float>(const float*, int64_t, int64_t, const std::vector<double>&);
template WeiszfeldSums weiszfeld_sums<double>(const double*, int64_t, int64_t, const std::vector<double>&);

}  // namespace sae::cpu
