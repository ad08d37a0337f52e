// Compiled for AVX-512 with bfloat16 products, and called only where the processor has them. No standard headers but
// <cstdint> (engine/simd.h says why).
#include <immintrin.h>

#include "ops/topk_encode/topk_encode_cpu.h"

namespace sae::cpu {
namespace {

constexpr int64_t lanes = 16;

__m512i as_words(__m512bh v) { return (__m512i)v; }
__m512bh as_pairs(__m512i v) { return (__m512bh)v; }

__mmask16 first_lanes(int64_t count) {
  return count >= lanes ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << (count < 0 ? 0 : count)) - 1);
}

/// 32 floats rounded to 16 words; adds the squares of the rounded values and of what the rounding took away.
__m512i round_pairs(const float* from, int64_t left, __m512& rounded_squares, __m512& residual_squares) {
  const __m512 low = _mm512_maskz_loadu_ps(first_lanes(left), from);
  const __m512 high = _mm512_maskz_loadu_ps(first_lanes(left - lanes), left > lanes ? from + lanes : from);
  const __m512i words = as_words(_mm512_cvtne2ps_pbh(high, low));
  const auto widen = [](__m256i half) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  };
  const __m512 low_rounded = widen(_mm512_castsi512_si256(words));
  const __m512 high_rounded = widen(_mm512_extracti64x4_epi64(words, 1));
  rounded_squares = _mm512_fmadd_ps(low_rounded, low_rounded, rounded_squares);
  rounded_squares = _mm512_fmadd_ps(high_rounded, high_rounded, rounded_squares);
  const __m512 low_lost = _mm512_sub_ps(low, low_rounded), high_lost = _mm512_sub_ps(high, high_rounded);
  residual_squares = _mm512_fmadd_ps(low_lost, low_lost, residual_squares);
  residual_squares = _mm512_fmadd_ps(high_lost, high_lost, residual_squares);
  return words;
}

/// The least that a norm is taken to be lies far above what squares lose by underflow.
float upper_norm(__m512 squares) {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(_mm512_reduce_add_ps(squares)))) * norm_margin + 1e-15f;
}

/// Transposes 16 x 16 words.
void transpose(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

}  // namespace

void pack_block(const float* rows, int64_t count, int64_t width, uint32_t* block, float* rounded_norms,
                float* residual_norms) {
  __m512 rounded[lanes], residual[lanes];
  for (int64_t row = 0; row < lanes; ++row) rounded[row] = residual[row] = _mm512_setzero_ps();
  const int64_t pairs = (width + 1) / 2;
  for (int64_t pair = 0; pair < pairs; pair += lanes) {
    __m512i words[lanes];
    for (int64_t row = 0; row < lanes; ++row) {
      words[row] = row < count
                       ? round_pairs(rows + row * width + 2 * pair, width - 2 * pair, rounded[row], residual[row])
                       : _mm512_setzero_si512();
    }
    transpose(words);
    const int64_t here = pairs - pair < lanes ? pairs - pair : lanes;
    for (int64_t i = 0; i < here; ++i) _mm512_store_si512(block + (pair + i) * panel_width, words[i]);
  }
  for (int64_t row = 0; row < count; ++row) {
    rounded_norms[row] = upper_norm(rounded[row]);
    residual_norms[row] = upper_norm(residual[row]);
  }
}

void pack_row(const float* row, int64_t width, uint32_t* words, float* norm, float* residual_norm) {
  __m512 rounded = _mm512_setzero_ps(), residual = _mm512_setzero_ps();
  const int64_t pairs = (width + 1) / 2;
  for (int64_t pair = 0; pair < pairs; pair += lanes) {
    alignas(64) uint32_t part[lanes];
    _mm512_store_si512(part, round_pairs(row + 2 * pair, width - 2 * pair, rounded, residual));
    const int64_t here = pairs - pair < lanes ? pairs - pair : lanes;
    for (int64_t i = 0; i < here; ++i) words[(pair + i) * group_rows] = part[i];
  }
  *residual_norm = upper_norm(residual);
  *norm = upper_norm(rounded) + *residual_norm;
}

namespace {

/// Keeps the latents of 16 lanes whose upper bound reaches the threshold.
inline void keep(ScreenedRow& row, __mmask16 chosen, __m512 score, __m512 error, int32_t first_latent) {
  const __m512i latent = _mm512_add_epi32(_mm512_set1_epi32(first_latent),
                                          _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  // To a register and then to memory: compressing to memory is slow on Zen 4.
  _mm512_storeu_ps(row.lower + row.count, _mm512_maskz_compress_ps(chosen, _mm512_sub_ps(score, error)));
  _mm512_storeu_ps(row.upper + row.count, _mm512_maskz_compress_ps(chosen, _mm512_add_ps(score, error)));
  _mm512_storeu_si512(row.latent + row.count, _mm512_maskz_compress_epi32(chosen, latent));
  row.count += __builtin_popcount(chosen);
}

/// tighten() of topk_encode_simd.cpp, which says what it does, with counts from masks and compression in registers:
/// filtering took 10 % of the time where there are 4,096 latents, and this was most of it.
void tighten_in_registers(ScreenedRow& row, const ScreenSizes& sizes, int64_t slack) {
  if (row.count < sizes.k) return;
  _mm512_storeu_ps(row.lower + row.count, _mm512_set1_ps(-__builtin_inff()));  // fills up the last register
  __m512 most = _mm512_loadu_ps(row.lower);
  __m512 least = _mm512_set1_ps(__builtin_inff());
  for (int64_t i = 0; i < row.count; i += lanes) {
    const __m512 value = _mm512_loadu_ps(row.lower + i);
    most = _mm512_max_ps(most, value);
    least = _mm512_mask_min_ps(least, first_lanes(row.count - i), least, value);
  }
  float low = row.threshold > no_threshold ? row.threshold : _mm512_reduce_min_ps(least);
  float high = _mm512_reduce_max_ps(most);
  for (int halving = 0; halving < 14; ++halving) {
    const float middle = low * 0.5f + high * 0.5f;
    if (!(low < middle && middle < high)) break;
    const __m512 limit = _mm512_set1_ps(middle);
    int64_t found = 0;
    for (int64_t i = 0; i < row.count; i += lanes) {
      found += __builtin_popcount(_mm512_cmp_ps_mask(_mm512_loadu_ps(row.lower + i), limit, _CMP_GE_OQ));
    }
    (found >= sizes.k ? low : high) = middle;
    if (found >= sizes.k && found <= sizes.k + slack) break;
  }
  row.threshold = low;
  const __m512 threshold = _mm512_set1_ps(low);
  int64_t kept = 0;
  for (int64_t i = 0; i < row.count; i += lanes) {
    const __m512 upper = _mm512_loadu_ps(row.upper + i), lower = _mm512_loadu_ps(row.lower + i);
    const __m512i latent = _mm512_loadu_si512(row.latent + i);
    const __mmask16 chosen = _mm512_mask_cmp_ps_mask(first_lanes(row.count - i), upper, threshold, _CMP_GE_OQ);
    _mm512_storeu_ps(row.lower + kept, _mm512_maskz_compress_ps(chosen, lower));
    _mm512_storeu_ps(row.upper + kept, _mm512_maskz_compress_ps(chosen, upper));
    _mm512_storeu_si512(row.latent + kept, _mm512_maskz_compress_epi32(chosen, latent));
    kept += __builtin_popcount(chosen);
  }
  row.count = kept;
  if (kept <= sizes.limit) return;
  row.overflowed = true;
  row.count = 0;
  row.threshold = __builtin_inff();
}

/// Rows x 64 scores: the sums of one group of rows against one panel, then the comparison, all in registers.
template <int Rows>
void screen_group(const uint32_t* x, const uint32_t* panel, const float* bias, const PanelBounds& bounds,
                  int64_t first_latent, const ScreenSizes& sizes, ScreenedRow* states) {
  __m512 sums[Rows][4];
  for (int row = 0; row < Rows; ++row) {
    for (int part = 0; part < 4; ++part) sums[row][part] = _mm512_setzero_ps();
  }
  for (int64_t pair = 0; pair < sizes.pairs; ++pair) {
    __m512bh weights[4];
    for (int part = 0; part < 4; ++part) {
      weights[part] = as_pairs(_mm512_load_si512(panel + pair * panel_width + part * lanes));
    }
    for (int row = 0; row < Rows; ++row) {
      const __m512bh value = as_pairs(_mm512_set1_epi32(static_cast<int>(x[pair * group_rows + row])));
      for (int part = 0; part < 4; ++part) sums[row][part] = _mm512_dpbf16_ps(sums[row][part], value, weights[part]);
    }
  }
  for (int row = 0; row < Rows; ++row) {
    ScreenedRow& state = states[row];
    const __m512 error = _mm512_set1_ps(state.per_rounded * bounds.rounded_norm +
                                        state.per_residual * bounds.residual_norm + bounds.bias_error);
    const __m512 threshold = _mm512_set1_ps(state.threshold);
    __m512 score[4];
    __mmask16 chosen[4];
    for (int part = 0; part < 4; ++part) {
      score[part] = _mm512_add_ps(sums[row][part], _mm512_loadu_ps(bias + part * lanes));
      chosen[part] = _mm512_cmp_ps_mask(_mm512_add_ps(score[part], error), threshold, _CMP_GE_OQ);
    }
    if (__builtin_expect((chosen[0] | chosen[1] | chosen[2] | chosen[3]) == 0, 1)) continue;
    for (int part = 0; part < 4; ++part) {
      if (chosen[part] != 0) {
        keep(state, chosen[part], score[part], error, static_cast<int32_t>(first_latent + part * lanes));
      }
    }
    if (state.count > sizes.limit) tighten_in_registers(state, sizes, sizes.k / 8);
  }
}

using ScreenGroup = void (*)(const uint32_t*, const uint32_t*, const float*, const PanelBounds&, int64_t,
                             const ScreenSizes&, ScreenedRow*);
constexpr ScreenGroup screen_groups[] = {screen_group<1>, screen_group<2>, screen_group<3>,
                                         screen_group<4>, screen_group<5>, screen_group<6>};

}  // namespace

void screen_rows(const uint32_t* x, int64_t rows, const uint32_t* panels, const float* bias, const PanelBounds* bounds,
                 const ScreenSizes& sizes, ScreenedRow* states) {
  const int64_t panel_count = (sizes.latents + panel_width - 1) / panel_width;
  const int64_t panel_words = sizes.pairs * panel_width;
  const int64_t groups = (rows + group_rows - 1) / group_rows;
  // The next panel is fetched a slice at a time while this one is at work.
  const int64_t slice = (panel_words + groups - 1) / groups;
  for (int64_t panel = 0; panel < panel_count; ++panel) {
    const uint32_t* here = panels + panel * panel_words;
    for (int64_t group = 0; group < groups; ++group) {
      if (panel + 1 < panel_count) {
        const uint32_t* next = here + panel_words + group * slice;
        for (int64_t word = 0; word < slice; word += lanes) {
          _mm_prefetch(reinterpret_cast<const char*>(next + word), _MM_HINT_T1);
        }
      }
      const int64_t first = group * group_rows;
      const int64_t count = rows - first < group_rows ? rows - first : group_rows;
      screen_groups[count - 1](x + first * sizes.pairs, here, bias + panel * panel_width, bounds[panel],
                               panel * panel_width, sizes, states + first);
    }
  }
  for (int64_t row = 0; row < rows; ++row) tighten_in_registers(states[row], sizes, 0);
}

}  // namespace sae::cpu
