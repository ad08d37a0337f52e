#pragma once

#include <cstdint>

#include "engine/layout.h"

namespace sae::cpu {

template <class T>
struct ReconstructionTask {
  SparseRows entries;
  const T* values;      // [stored]
  const T* dictionary;  // [latents, width]
  const T* bias;        // [width]
  const T* x;           // [rows, width]
  int64_t width;
  T* residual;  // [rows, width], written
  T* products;  // [stored], written: residual row . dictionary row; or null
};

/// Fills the residuals and, where asked, the products; returns the sum of the residuals' squares.
template <class T>
double reconstruct(const ReconstructionTask<T>& task);

}  // namespace sae::cpu
