#include "ops/firings/firings.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/firings/firings_cuda.h"

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

template <class T>
void count_on_cpu(const Value& latents, T above, std::vector<int64_t>& counts) {
  const Tensor& stored = stored_values(latents);
  if (std::holds_alternative<Tensor>(latents)) return count_dense<T>(stored, above, counts);
  const int32_t* index = sparse_rows("count_firings", latents).index;
  for (int64_t e = 0; e < stored.elements(); ++e) counts[static_cast<size_t>(index[e])] += stored.data<T>()[e] > above;
}

template <class T>
void count_on_device(const Value& latents, T above, std::vector<int64_t>& counts) {
  const Tensor& stored = stored_values(latents);
  Device& device = stored.device();
  const int64_t cols = cols_of(latents);
  const bool dense = std::holds_alternative<Tensor>(latents);
  Writable there = Tensor::empty(device, {cols}, Dtype::i32);
  device.clear(there.raw(), static_cast<size_t>(there.bytes()));
  SIMT_CALL(device.kind(), add_firings, device.stream(), stored.data<T>(),
            dense ? nullptr : sparse_rows("count_firings", latents).index, stored.elements(), cols, above,
            there.data<int32_t>());
  const std::vector<int32_t> counted = std::move(there).freeze().to_vector<int32_t>();
  counts.assign(counted.begin(), counted.end());
}

}  // namespace

std::vector<int64_t> count_firings(const Value& latents, double above) {
  std::vector<int64_t> counts(static_cast<size_t>(cols_of(latents)), 0);
  visit_real("count_firings", dtype_of(latents), [&](auto zero) {
    using T = decltype(zero);
    switch (device_of(latents).kind()) {
      case DeviceKind::cpu:
        return count_on_cpu(latents, static_cast<T>(above), counts);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return count_on_device(latents, static_cast<T>(above), counts);
    }
  });
  return counts;
}

}  // namespace sae
