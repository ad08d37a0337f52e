#pragma once

#include <cstdint>

namespace sae::cpu {

// Kernels know nothing of tensors, layouts or tapes: free functions over pointers and sizes, T is float or double.

/// y = f(x), element by element.
template <class T>
void skeleton(const T* x, T slope, T* y, int64_t count);

/// out = f'(x) g, element by element.
template <class T>
void skeleton_backward(const T* x, const T* g, T slope, T* out, int64_t count);

}  // namespace sae::cpu
