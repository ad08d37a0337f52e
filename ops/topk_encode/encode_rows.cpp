#include "ops/topk_encode/encode_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "engine/parallel.h"
#include "engine/row_kernels.h"
#include "ops/matmul/matmul.h"
#include "ops/topk/topk_cpu.h"
#include "ops/topk_encode/finish_rows.h"
#include "ops/topk_encode/topk_encode_cpu.h"

namespace sae::cpu {

template <class T>
void encode_exactly(const EncodeTask<T>& task, const std::vector<int64_t>& rows) {
  constexpr int64_t together = 8;  // rows that share a pass over the encoder
  parallel_for(static_cast<int64_t>(rows.size()), together, [&](int64_t begin, int64_t end) {
    std::vector<T> scores(static_cast<size_t>((end - begin) * task.latents));
    for (int64_t latent = 0; latent < task.latents; ++latent) {
      for (int64_t i = begin; i < end; ++i) {
        const T* row = task.x + rows[static_cast<size_t>(i)] * task.width;
        scores[static_cast<size_t>((i - begin) * task.latents + latent)] =
            dot(row, task.encoder + latent * task.width, task.width) + task.bias[latent];
      }
    }
    std::vector<Candidate<T>> candidates;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = rows[static_cast<size_t>(i)];
      const T* all = scores.data() + (i - begin) * task.latents;
      if (!gather_candidates<T>(all, task.latents, candidates)) {
        refuse_row(row);
      }
      choose(candidates, task.k, task.columns + row * task.k, task.values + row * task.k);
    }
  });
}

template void encode_exactly<float>(const EncodeTask<float>&, const std::vector<int64_t>&);
template void encode_exactly<double>(const EncodeTask<double>&, const std::vector<int64_t>&);

namespace {

/// The bias and what bounds a score's error, panel by panel.
struct Panels {
  std::vector<float> bias;          // [panels * 64], -infinity beyond the last latent
  std::vector<PanelBounds> bounds;  // [panels]
  float largest_norm = 0;           // of an encoder row
  float largest_bias = 0;

  Panels(const EncodeTask<float>& task, const EncoderPanels& packed, bool exact)
      : bias(static_cast<size_t>((task.latents + panel_width - 1) / panel_width * panel_width),
             -std::numeric_limits<float>::infinity()),
        bounds(bias.size() / panel_width) {
    std::copy(task.bias, task.bias + task.latents, bias.begin());
    for (size_t j = 0; j < static_cast<size_t>(task.latents); ++j) {
      PanelBounds& bound = bounds[j / panel_width];
      const float rounded = packed.rounded_norms()[j], residual = packed.residual_norms()[j];
      largest_norm = larger(largest_norm, rounded + residual);
      largest_bias = larger(largest_bias, std::abs(bias[j]));
      if (!exact) continue;
      bound.rounded_norm = std::max(bound.rounded_norm, rounded);
      bound.residual_norm = std::max(bound.residual_norm, residual);
      bound.bias_error = std::max(bound.bias_error, bias_error * std::abs(bias[j]));
    }
  }

 private:
  static float larger(float a, float b) { return std::isnan(a) || b <= a ? a : b; }  // a NaN stays
};

/// The candidates of a chunk of rows.
class Candidates {
 public:
  Candidates(Device& device, int64_t rows, int64_t limit) : rows_(static_cast<size_t>(rows)) {
    const int64_t capacity = limit + panel_width + 16;  // a panel more, and a register's overhang
    buffer_ = device.allocate(static_cast<size_t>(rows * capacity) * (2 * sizeof(float) + sizeof(int32_t)));
    auto* bounds = static_cast<float*>(buffer_->data());
    auto* latents = reinterpret_cast<int32_t*>(bounds + 2 * rows * capacity);
    for (int64_t row = 0; row < rows; ++row) {
      ScreenedRow& state = rows_[static_cast<size_t>(row)];
      state.lower = bounds + 2 * row * capacity;
      state.upper = state.lower + capacity;
      state.latent = latents + row * capacity;
    }
  }

  /// A row of length at most `norm`, of which rounding took at most `residual`.
  void start(int64_t row, float norm, float residual, float relative_error, bool exact, const Panels& panels) {
    ScreenedRow& state = rows_[static_cast<size_t>(row)];
    state.count = 0;
    state.per_rounded = exact ? (residual + relative_error * norm) * norm_margin : 0.0f;
    state.per_residual = exact ? norm * norm_margin : 0.0f;
    // Written so that a NaN overflows too.
    state.overflowed = !(norm * panels.largest_norm + panels.largest_bias < safe_score);
    state.threshold = state.overflowed ? std::numeric_limits<float>::infinity() : no_threshold;
  }

  ScreenedRow* data() { return rows_.data(); }

 private:
  std::vector<ScreenedRow> rows_;
  std::shared_ptr<Buffer> buffer_;
};

ScreenSizes sizes_of(const EncodeTask<float>& task) {
  return {.k = task.k, .limit = 2 * task.k + panel_width, .pairs = (task.width + 1) / 2, .latents = task.latents};
}

#if defined(__x86_64__) || defined(_M_X64)

/// Rows of a chunk: few enough that they, packed, their candidates and a panel of the encoder stay in a core's cache,
/// and the same number for every thread.
int64_t chunk_rows(int64_t rows) {
  constexpr int64_t most = 256;
  const int64_t workers = std::max<int64_t>(1, threads());
  const int64_t chunks = workers * std::max<int64_t>(1, (rows + workers * most - 1) / (workers * most));
  const int64_t share = (rows + chunks - 1) / chunks;
  return (share + group_rows - 1) / group_rows * group_rows;
}

void screen_in_bf16(Device& device, const EncodeTask<float>& task, const EncoderPanels& packed, bool exact,
                    std::vector<int32_t>& rescored) {
  const Panels panels(task, packed, exact);
  const ScreenSizes sizes = sizes_of(task);
  const float relative_error = sum_error(task.width) + dot_error(task.width);
  parallel_for(task.rows, chunk_rows(task.rows), [&](int64_t begin, int64_t end) {
    const int64_t groups = (end - begin + group_rows - 1) / group_rows;
    const auto buffer = device.allocate(static_cast<size_t>(groups * group_rows * sizes.pairs) * sizeof(uint32_t));
    auto* words = static_cast<uint32_t*>(buffer->data());
    Candidates candidates(device, end - begin, sizes.limit);
    for (int64_t i = 0; i < end - begin; ++i) {
      float norm = 0, residual = 0;
      uint32_t* to = words + i / group_rows * group_rows * sizes.pairs + i % group_rows;
      pack_row(task.x + (begin + i) * task.width, task.width, to, &norm, &residual);
      candidates.start(i, norm, residual, relative_error, exact, panels);
    }
    screen_rows(words, end - begin, packed.words(), panels.bias.data(), panels.bounds.data(), sizes, candidates.data());
    finish_rows(task, begin, end - begin, candidates.data(), exact, rescored.data() + begin);
  });
}

#else

void screen_in_bf16(Device&, const EncodeTask<float>&, const EncoderPanels&, bool, std::vector<int32_t>&) {
  fail("topk_encode: this processor has no bfloat16 products");
}

#endif

/// Passes a tile of scores [rows, cols], of the latents from first_panel on, by the rows' candidates.
void screen_tile(const Tensor& scores, int64_t first_panel, const Panels& panels, const ScreenSizes& sizes,
                 ScreenedRow* states) {
  const int64_t cols = scores.cols(), whole = cols / panel_width, rest = cols % panel_width;
  parallel_for(scores.rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* of_row = scores.data<float>() + row * cols;
      SIMD_CALL(screen_scores, of_row, panels.bias.data(), panels.bounds.data(), first_panel, whole, &sizes,
                &states[row]);
      if (rest == 0) continue;
      float last[panel_width] = {};
      std::copy(of_row + whole * panel_width, of_row + cols, last);
      SIMD_CALL(screen_scores, last, panels.bias.data(), panels.bounds.data(), first_panel + whole, 1, &sizes,
                &states[row]);
    }
  });
}

void screen_in_float32(const EncodeTask<float>& task, const Tensor& x, const Tensor& encoder,
                       const EncoderPanels& packed, bool exact, std::vector<int32_t>& rescored) {
  constexpr int64_t rows_at_once = 1024, latents_at_once = 16 * panel_width;
  const Panels panels(task, packed, exact);
  const ScreenSizes sizes = sizes_of(task);
  const float relative_error = sum_error(task.width) + dot_error(task.width);
  for (int64_t begin = 0; begin < task.rows; begin += rows_at_once) {
    const int64_t end = std::min(task.rows, begin + rows_at_once);
    const Tensor part = x.slice_rows(begin, end);
    Candidates candidates(x.device(), end - begin, sizes.limit);
    for (int64_t i = 0; i < end - begin; ++i) {
      const float* row = task.x + (begin + i) * task.width;
      const float norm = std::sqrt(dot(row, row, task.width)) * norm_margin;
      candidates.start(i, norm, 0.0f, relative_error, exact, panels);
    }
    for (int64_t latent = 0; latent < task.latents; latent += latents_at_once) {
      const Tensor some = encoder.slice_rows(latent, std::min(task.latents, latent + latents_at_once));
      screen_tile(dense_product(part, false, some, true), latent / panel_width, panels, sizes, candidates.data());
    }
    parallel_for(end - begin, 128, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) SIMD_CALL(tighten, candidates.data() + i, &sizes, 0);
      finish_rows(task, begin + first, last - first, candidates.data() + first, exact, rescored.data() + begin + first);
    });
  }
}

}  // namespace

void encode_screened(const EncodeTask<float>& task, const Tensor& x, const Tensor& encoder,
                     const EncodeOptions& options) {
  const bool in_bf16 = has_bf16_products() && options.scoring != Scoring::f32 && !options.screen_in_float32;
  const bool exact = options.scoring == Scoring::exact;
  EncoderPanels own;
  if (options.panels == nullptr) own = EncoderPanels::pack(encoder);
  const EncoderPanels& packed = options.panels != nullptr ? *options.panels : own;
  std::vector<int32_t> rescored(static_cast<size_t>(task.rows));  // of each row
  if (in_bf16) {
    screen_in_bf16(x.device(), task, packed, exact, rescored);
  } else {
    screen_in_float32(task, x, encoder, packed, exact, rescored);
  }
  std::vector<int64_t> overflowed;
  for (int64_t row = 0; row < task.rows; ++row) {
    if (rescored[static_cast<size_t>(row)] == not_finished) overflowed.push_back(row);
  }
  encode_exactly(task, overflowed);
  if (options.counts == nullptr) return;
  options.counts->rows += task.rows;
  options.counts->exact_rows += static_cast<int64_t>(overflowed.size());
  for (const int32_t count : rescored) options.counts->rescored += std::max<int32_t>(count, 0);
}

}  // namespace sae::cpu
