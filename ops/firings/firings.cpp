#include "ops/firings/firings.h"

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {
namespace {

/// By blocks of columns, so that no two threads count in one place and the inner loop runs along memory.
template <class T>
void count_dense(const Tensor& latents, T above, std::vector<int64_t>& counts) {
  const int64_t rows = latents.rows(), cols = latents.cols();
  const T* values = latents.data<T>();
  parallel_for(cols, 512, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> block(static_cast<size_t>(end - begin), 0);
    for (int64_t row = 0; row < rows; ++row) {
      const T* part = values + row * cols + begin;
      for (size_t i = 0; i < block.size(); ++i) block[i] += part[i] > above;
    }
    for (size_t i = 0; i < block.size(); ++i) counts[static_cast<size_t>(begin) + i] = block[i];
  });
}

}  // namespace

std::vector<int64_t> count_firings(const Value& latents, double above) {
  const Tensor& stored = stored_values(latents);
  if (stored.device().kind() != DeviceKind::cpu) refuse_device("count_firings", stored.device().kind());
  std::vector<int64_t> counts(static_cast<size_t>(cols_of(latents)), 0);
  visit_real("count_firings", stored.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto limit = static_cast<T>(above);
    if (std::holds_alternative<Tensor>(latents)) return count_dense<T>(stored, limit, counts);
    const int32_t* index = sparse_rows("count_firings", latents).index;
    for (int64_t e = 0; e < stored.elements(); ++e) {
      counts[static_cast<size_t>(index[e])] += stored.data<T>()[e] > limit;
    }
  });
  return counts;
}

}  // namespace sae
