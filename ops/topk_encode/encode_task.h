#pragma once

#include <cstdint>

namespace sae {

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

}  // namespace sae
