#pragma once

// One source, several instruction sets. A file named *_simd.cpp is compiled once for each (CMake's add_simd_source),
// each time in a namespace of its own: baseline, avx2, avx512. SIMD_CALL picks the best one the processor has.
//
// Such a file writes its arithmetic with the compiler's vector type `lanes` (sixteen floats, whatever the registers
// are) and never with fused multiply-add, so that every instruction set gives the same bits. It must not include
// standard headers with templates or inline functions: the linker keeps one copy of each, and it might keep the one
// that was compiled for a processor this machine is not.

#include <cstdint>

namespace sae {

enum class SimdLevel { baseline, avx2, avx512 };

/// What this processor has; found out once.
SimdLevel simd_level();

/// Are products of bfloat16 in hardware (AVX-512 BF16)?
bool has_bf16_products();

}  // namespace sae

#if defined(__x86_64__) || defined(_M_X64)
#define SIMD_CALL(function, ...)                                                   \
  (::sae::simd_level() == ::sae::SimdLevel::avx512 ? avx512::function(__VA_ARGS__) \
   : ::sae::simd_level() == ::sae::SimdLevel::avx2 ? avx2::function(__VA_ARGS__)   \
                                                   : baseline::function(__VA_ARGS__))
/// Declares a function of a *_simd.cpp in each of its namespaces.
#define SIMD_DECLARE(...) \
  namespace baseline {    \
  __VA_ARGS__;            \
  }                       \
  namespace avx2 {        \
  __VA_ARGS__;            \
  }                       \
  namespace avx512 {      \
  __VA_ARGS__;            \
  }
#else
#define SIMD_CALL(function, ...) (baseline::function(__VA_ARGS__))
#define SIMD_DECLARE(...) \
  namespace baseline {    \
  __VA_ARGS__;            \
  }
#endif
