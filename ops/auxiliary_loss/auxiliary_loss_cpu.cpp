#include "ops/auxiliary_loss/auxiliary_loss_cpu.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/ordered_sum.h"
#include "engine/row_kernels.h"
#include "ops/auxiliary_loss/auxiliary_loss_simd.h"

namespace sae::cpu {
namespace {

constexpr int64_t rows_at_once = 16;

template <class T>
void store_row(const T* from, int64_t count, T* to) {
  std::copy_n(from, count, to);
}
void store_row(const float* from, int64_t count, bfloat16* to) { SIMD_CALL(round_row, from, count, &to->bits); }

template <class T>
void mask(T* gradient, const T* active, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (active[i] == 0) gradient[i] = 0;
  }
}
void mask(float* gradient, const bfloat16* active, int64_t count) {
  SIMD_CALL(mask_row, gradient, &active->bits, count);
}

bool activate(float* pre, const float* bias, int64_t count, int64_t k) {
  return SIMD_CALL(activate_row, pre, bias, count, k);
}
bool activate(double* pre, const double* bias, int64_t count, int64_t k) {
  for (int64_t i = 0; i < count; ++i) {
    pre[i] += bias[i];
    if (!std::isfinite(pre[i])) return false;
  }
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return pre[a] > pre[b]; });
  for (int64_t place = 0; place < count; ++place) {
    double& value = pre[order[static_cast<size_t>(place)]];
    if (place >= k || value < 0) value = 0;
  }
  return true;
}

}  // namespace

template <class T, class Stored>
void AuxiliaryKernels<T, Stored>::centre_rows(const T* x, const T* bias, int64_t rows, int64_t width, Stored* centred) {
  parallel_for(rows, rows_at_once, [&](int64_t begin, int64_t end) {
    std::vector<T> difference(static_cast<size_t>(width));
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(x + row * width, width, difference.data());
      add_scaled(difference.data(), T{-1}, bias, width);
      store_row(difference.data(), width, centred + row * width);
    }
  });
}

template <class T, class Stored>
void AuxiliaryKernels<T, Stored>::store_rows_at(const T* table, const int32_t* index, int64_t count, int64_t width,
                                                Stored* gathered) {
  parallel_for(count, rows_at_once, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      store_row(table + int64_t{index[i]} * width, width, gathered + i * width);
    }
  });
}

template <class T, class Stored>
int64_t AuxiliaryKernels<T, Stored>::activate_rows(T* pre, const T* bias, int64_t rows, int64_t cols, int64_t k,
                                                   Stored* active) {
  std::vector<int64_t> bad(static_cast<size_t>((rows + rows_at_once - 1) / rows_at_once), -1);  // of each chunk
  parallel_for(rows, rows_at_once, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (!activate(pre + row * cols, bias, cols, k)) {
        bad[static_cast<size_t>(begin / rows_at_once)] = row;
        return;
      }
      store_row(pre + row * cols, cols, active + row * cols);
    }
  });
  const auto found = std::find_if(bad.begin(), bad.end(), [](int64_t row) { return row >= 0; });
  return found == bad.end() ? -1 : *found;
}

template <class T, class Stored>
double AuxiliaryKernels<T, Stored>::add_residual(T* missed, const T* residual, int64_t rows, int64_t width,
                                                 Stored* stored) {
  return ordered_sum(rows, rows_at_once, [&](int64_t begin, int64_t end) {
    double squares = 0;
    for (int64_t row = begin; row < end; ++row) {
      T* of_row = missed + row * width;
      add_scaled(of_row, T{1}, residual + row * width, width);
      squares += static_cast<double>(dot(of_row, of_row, width));
      store_row(of_row, width, stored + row * width);
    }
    return squares;
  });
}

template <class T, class Stored>
void AuxiliaryKernels<T, Stored>::mask_rows(T* gradient, const Stored* active, int64_t rows, int64_t cols,
                                            Stored* stored) {
  parallel_for(rows, rows_at_once, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      mask(gradient + row * cols, active + row * cols, cols);
      store_row(gradient + row * cols, cols, stored + row * cols);
    }
  });
}

template struct AuxiliaryKernels<float, float>;
template struct AuxiliaryKernels<float, bfloat16>;
template struct AuxiliaryKernels<double, double>;

}  // namespace sae::cpu
