// Which elements of a row are positive, and where: the one place where the instruction sets are asked for what a
// vector type cannot say, a comparison as bits and the compression of a register.
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sae::SIMD_NAMESPACE {

namespace {

/// Bit i is set where x[i] is above 0 or not a number, i < 16.
uint32_t positive_bits(const float* x) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(x), _mm512_setzero_ps(), _CMP_NLE_UQ);
#elif defined(__AVX2__)
  const __m256 zero = _mm256_setzero_ps();
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x), zero, _CMP_NLE_UQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + 8), zero, _CMP_NLE_UQ));
  return static_cast<uint32_t>(low | (high << 8));
#elif defined(__x86_64__)
  int bits = 0;
  for (int part = 0; part < 4; ++part) {
    bits |= _mm_movemask_ps(_mm_cmpnle_ps(_mm_loadu_ps(x + 4 * part), _mm_setzero_ps())) << (4 * part);
  }
  return static_cast<uint32_t>(bits);
#else
  uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= static_cast<uint32_t>(!(x[i] <= 0)) << i;
  return bits;
#endif
}

}  // namespace

int64_t mark_positive(const float* x, int64_t cols, uint64_t* words) {
  int64_t count = 0;
  int64_t col = 0;
  for (; col + 64 <= cols; col += 64) {
    uint64_t word = 0;
    for (int part = 0; part < 4; ++part) word |= uint64_t{positive_bits(x + col + 16 * part)} << (16 * part);
    words[col / 64] = word;
    count += __builtin_popcountll(word);
  }
  if (col < cols) {
    uint64_t word = 0;
    for (int64_t i = col; i < cols; ++i) word |= uint64_t{!(x[i] <= 0)} << (i - col);
    words[col / 64] = word;
    count += __builtin_popcountll(word);
  }
  return count;
}

#if defined(__AVX512F__)

// Compressed in a register and then stored: compressing to memory is slow on some processors (Zen 4). A whole register
// is stored while it stays inside the row's own entries, since the next row may belong to another thread.
void gather_positive(const float* x, const uint64_t* words, int64_t cols, int64_t count, int32_t* index,
                     float* values) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  int64_t done = 0;
  for (int64_t first = 0; first < cols; first += 64) {
    const uint64_t word = words[first / 64];
    if (word == 0) continue;
    for (int part = 0; part < 4; ++part) {
      const auto bits = static_cast<__mmask16>(word >> (16 * part));
      if (bits == 0) continue;
      const int64_t col = first + 16 * part;
      const __m512 kept = _mm512_maskz_compress_ps(bits, _mm512_maskz_loadu_ps(bits, x + col));
      const __m512i columns = _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(col)));
      const __m512i kept_columns = _mm512_maskz_compress_epi32(bits, columns);
      const int number = __builtin_popcount(bits);
      if (done + 16 <= count) {
        _mm512_storeu_ps(values + done, kept);
        _mm512_storeu_si512(index + done, kept_columns);
      } else {
        const auto inside = static_cast<__mmask16>((1u << number) - 1u);
        _mm512_mask_storeu_ps(values + done, inside, kept);
        _mm512_mask_storeu_epi32(index + done, inside, kept_columns);
      }
      done += number;
    }
  }
}

#else

void gather_positive(const float* x, const uint64_t* words, int64_t cols, int64_t, int32_t* index, float* values) {
  for (int64_t first = 0; first < cols; first += 64) {
    for (uint64_t word = words[first / 64]; word != 0; word &= word - 1) {
      const int64_t col = first + __builtin_ctzll(word);
      *index++ = static_cast<int32_t>(col);
      *values++ = x[col];
    }
  }
}

#endif

}  // namespace sae::SIMD_NAMESPACE
