#pragma once

#include <cstdint>
#include <vector>

#include "ops/topk_encode/topk_encode.h"

namespace sae::cpu {

/// What one call works on: the k best scores dot(x_i, E_j) + b_j of each row.
template <class T>
struct EncodeTask {
  const T* x = nullptr;        // [rows, width]
  const T* encoder = nullptr;  // [latents, width]
  const T* bias = nullptr;     // [latents]
  int64_t rows = 0;
  int64_t width = 0;
  int64_t latents = 0;
  int64_t k = 0;
  int32_t* columns = nullptr;  // [rows, k], out
  T* values = nullptr;         // [rows, k], out
};

/// What it means: every score of the listed rows. Throws NotFinite, naming the row, where one is not finite.
template <class T>
void encode_exactly(const EncodeTask<T>& task, const std::vector<int64_t>& rows);

/// How it is fast. x and encoder are the task's, as tensors.
void encode_screened(const EncodeTask<float>& task, const Tensor& x, const Tensor& encoder,
                     const EncodeOptions& options);

}  // namespace sae::cpu
