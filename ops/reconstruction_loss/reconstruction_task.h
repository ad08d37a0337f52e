#pragma once

#include <cstdint>

#include "engine/layout.h"

namespace sae {

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

/// What a gradient of the loss is multiplied with; 0 where there are no elements.
template <class T>
constexpr T loss_factor(T gradient, double scale, double elements) {
  return elements == 0 ? T{0} : static_cast<T>(static_cast<double>(gradient) * 2 * scale / elements);
}

}  // namespace sae
