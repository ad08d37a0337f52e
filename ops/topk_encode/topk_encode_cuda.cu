#include "ops/topk_encode/topk_encode_cuda.h"

#include <cmath>
#include <type_traits>

#include "engine/convert.h"
#include "engine/dense_product_cuda.h"
#include "engine/warp_rows.h"
#include "ops/topk/block_choice.h"
#include "ops/topk_encode/screening.h"

namespace sae::SIMT_NAMESPACE {
namespace {

/// A tile of scores fits a GPU's second-level cache, from which the filter reads it (at most 32 MiB), and is large
/// enough to keep the GPU's product busy.
constexpr int64_t rows_at_once = 4096, latents_at_once = 2048;
constexpr int64_t whole_row_bytes = int64_t{32} << 20;  // of scores of rows that are computed whole

SIMT_DEVICE int lane_in_warp() { return static_cast<int>(threadIdx.x % warp_lanes); }

/// In place of a count of candidates: they did not fit, compute the row whole.
constexpr int whole_row = -1;

/// A row while the latents pass by: ScreenedRow in screening.h, with its candidates in Screen.
struct RowState {
  float threshold, per_rounded, per_residual;
  int count;
};

struct Screen {
  RowState* rows;  // [rows_at_once]
  float* lower;    // [rows_at_once, capacity]
  float* upper;
  int32_t* latent;
  int capacity, limit, k;
};

/// What bounds the scores of all latents, so that sums cannot overflow; infinite where something is not finite.
struct Largest {
  float norm, bias;
};

SIMT_DEVICE float finite_or_infinite(float value) { return std::isfinite(value) ? value : INFINITY; }

// A warp for each row. The small number is more than squares lose where they underflow.
template <class Factor>
SIMT_KERNEL screen_matrix_kernel(const float* matrix, int64_t rows, int64_t width, Factor* elements, float* norms,
                                 float* residual_norms) {
  const int lane = lane_in_warp();
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    float kept = 0, lost = 0;
    for (int64_t i = row * width + lane; i < (row + 1) * width; i += warp_lanes) {
      const float value = matrix[i];
      float rounded = value;
      if constexpr (!std::is_same_v<Factor, float>) {
        elements[i] = convert<float, Factor>(value);
        rounded = convert<Factor, float>(elements[i]);
      }
      kept += rounded * rounded;
      lost += (value - rounded) * (value - rounded);
    }
    kept = std::sqrt(warp_sum(kept)) * norm_margin + 1e-20f;
    lost = std::sqrt(warp_sum(lost)) * norm_margin + (std::is_same_v<Factor, float> ? 0.0f : 1e-20f);
    if (lane == 0) {
      norms[row] = kept;
      residual_norms[row] = lost;
    }
  }
}

// A warp for each panel of latents.
SIMT_KERNEL panel_bounds_kernel(const float* norms, const float* residual_norms, const float* bias, int64_t latents,
                                bool exact, PanelBounds* bounds, Largest* of_panel) {
  const int lane = lane_in_warp();
  for (int64_t panel = warp_in_grid(); panel * panel_width < latents; panel += warps_in_grid()) {
    float rounded = 0, residual = 0, largest_bias = 0;
    for (int64_t j = panel * panel_width + lane; j < (panel + 1) * panel_width && j < latents; j += warp_lanes) {
      rounded = max(rounded, finite_or_infinite(norms[j]));
      residual = max(residual, finite_or_infinite(residual_norms[j]));
      largest_bias = max(largest_bias, finite_or_infinite(std::abs(bias[j])));
    }
    rounded = warp_max(rounded);
    residual = warp_max(residual);
    largest_bias = warp_max(largest_bias);
    if (lane == 0) {
      bounds[panel] = exact ? PanelBounds{rounded, residual, bias_error * largest_bias} : PanelBounds{};
      of_panel[panel] = {rounded + residual, largest_bias};
    }
  }
}

// One warp.
SIMT_KERNEL largest_kernel(const Largest* of_panel, int64_t panels, Largest* largest) {
  Largest mine = {0, 0};
  for (int64_t panel = threadIdx.x; panel < panels; panel += warp_lanes) {
    mine = {max(mine.norm, of_panel[panel].norm), max(mine.bias, of_panel[panel].bias)};
  }
  mine = {warp_max(mine.norm), warp_max(mine.bias)};
  if (threadIdx.x == 0) *largest = mine;
}

SIMT_KERNEL start_rows_kernel(Screen screen, const float* norms, const float* residual_norms, int64_t rows,
                              const Largest* largest, float relative_error, bool exact) {
  for (int64_t row = thread_in_grid(); row < rows; row += threads_in_grid()) {
    const float residual = residual_norms[row], norm = norms[row] + residual;
    RowState state = {no_threshold, 0, 0, 0};
    if (exact) {
      state.per_rounded = (residual + relative_error * norm) * norm_margin;
      state.per_residual = norm * norm_margin;
    }
    // Written so that a NaN is caught too.
    if (!(norm * largest->norm + largest->bias < safe_score)) state.count = whole_row;
    screen.rows[row] = state;
  }
}

/// Raises the threshold to just below the k-th best lower bound, or to it, and drops what cannot reach it; gives the
/// row up where too many candidates are left. The whole warp calls it.
SIMT_DEVICE void tighten(const Screen& screen, int64_t row, RowState& state) {
  if (state.count < screen.k) return;
  const int lane = lane_in_warp();
  float* const lower = screen.lower + row * screen.capacity;
  float* const upper = screen.upper + row * screen.capacity;
  int32_t* const latent = screen.latent + row * screen.capacity;
  __syncwarp();  // what other lanes appended
  float most = -INFINITY, least = INFINITY;
  for (int i = lane; i < state.count; i += warp_lanes) {
    most = max(most, lower[i]);
    least = min(least, lower[i]);
  }
  float high = warp_max(most), low = -warp_max(-least);
  if (state.threshold > no_threshold) low = state.threshold;
  for (int halving = 0; halving < 14; ++halving) {
    const float middle = low * 0.5f + high * 0.5f;
    if (!(low < middle && middle < high)) break;
    int found = 0;
    for (int i = lane; i < state.count; i += warp_lanes) found += lower[i] >= middle;
    found = warp_sum(found);
    (found >= screen.k ? low : high) = middle;
    if (found >= screen.k && found <= screen.k + screen.k / 8) break;
  }
  state.threshold = low;
  int kept = 0;
  for (int first = 0; first < state.count; first += warp_lanes) {
    const int i = first + lane < state.count ? first + lane : first;
    const float low_end = lower[i], high_end = upper[i];
    const int32_t column = latent[i];
    const bool keep = first + lane < state.count && high_end >= low;
    __syncwarp();  // everybody has read before somebody writes
    const unsigned lanes = __ballot_sync(all_lanes, keep);
    if (keep) {
      const int to = kept + __popc(lanes & ((1u << lane) - 1u));
      lower[to] = low_end;
      upper[to] = high_end;
      latent[to] = column;
    }
    kept += __popc(lanes);
  }
  __syncwarp();
  state.count = kept <= screen.limit ? kept : whole_row;
}

// A warp for each row of a tile of scores [rows, cols], without bias, of the latents from first_latent on.
SIMT_KERNEL filter_kernel(Screen screen, const float* scores, int64_t rows, int64_t cols, int64_t first_latent,
                          const float* bias, const PanelBounds* bounds) {
  const int lane = lane_in_warp();
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    RowState state = screen.rows[row];
    const int64_t candidates = row * screen.capacity;
    for (int64_t first = 0; first < cols && state.count != whole_row; first += panel_width) {
      const PanelBounds bound = bounds[(first_latent + first) / panel_width];
      const float error =
          state.per_rounded * bound.rounded_norm + state.per_residual * bound.residual_norm + bound.bias_error;
      float score[2];
      bool keep[2];
      for (int half = 0; half < 2; ++half) {
        const int64_t col = first + half * warp_lanes + lane;
        score[half] = col < cols ? scores[row * cols + col] + bias[first_latent + col] : 0;
        keep[half] = col < cols && score[half] + error >= state.threshold;
      }
      if (!__any_sync(all_lanes, keep[0] || keep[1])) continue;
      for (int half = 0; half < 2; ++half) {
        const unsigned lanes = __ballot_sync(all_lanes, keep[half]);
        if (keep[half]) {
          const int64_t to = candidates + state.count + __popc(lanes & ((1u << lane) - 1u));
          screen.lower[to] = score[half] - error;
          screen.upper[to] = score[half] + error;
          screen.latent[to] = static_cast<int32_t>(first_latent + first + half * warp_lanes + lane);
        }
        state.count += __popc(lanes);
      }
      if (state.count > screen.limit) tighten(screen, row, state);
    }
    __syncwarp();  // everybody has read the state
    if (lane == 0) screen.rows[row] = state;
  }
}

/// Replaces the lower bounds by float32 scores: first of the candidates that are likely to be chosen, then of the
/// others, unless they cannot reach the worst of the first; those become -infinity. Returns how many it took.
SIMT_DEVICE int score_again(const Screen& screen, const EncodeTask<float>& task, int64_t state_row, int64_t row,
                            const RowState& state) {
  float* const lower = screen.lower + state_row * screen.capacity;
  float* const upper = screen.upper + state_row * screen.capacity;
  const int32_t* const latent = screen.latent + state_row * screen.capacity;
  const float* const x = task.x + row * task.width;
  const auto score = [&](int i) {
    return warp_dot(x, task.encoder + latent[i] * task.width, task.width) + task.bias[latent[i]];
  };
  const auto replace = [&](int i, float low_end, float high_end) {
    __syncwarp();  // everybody has read
    if (lane_in_warp() == 0) {
      lower[i] = low_end;
      upper[i] = high_end;
    }
  };
  float worst = INFINITY;  // the k-th best score is no lower
  int count = 0;
  for (int i = 0; i < state.count; ++i) {
    if (lower[i] < state.threshold) continue;
    const float exact = score(i);
    worst = min(worst, exact);
    ++count;
    replace(i, exact, -INFINITY);  // done
  }
  __syncwarp();
  for (int i = 0; i < state.count; ++i) {
    if (upper[i] == -INFINITY) continue;
    const bool possible = upper[i] >= worst;
    replace(i, possible ? score(i) : -INFINITY, -INFINITY);
    count += possible;
  }
  __syncwarp();
  return count;
}

// A warp for each row of the block of rows that begins at `begin`.
SIMT_KERNEL finish_kernel(Screen screen, EncodeTask<float> task, int64_t begin, int64_t rows, bool exact,
                          EncodeWords* words) {
  const int lane = lane_in_warp();
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    RowState state = screen.rows[row];
    tighten(screen, row, state);
    __syncwarp();
    if (lane == 0) screen.rows[row] = state;
    if (state.count == whole_row) continue;
    const int rescored = exact ? score_again(screen, task, row, begin + row, state) : 0;
    if (lane == 0 && exact) atomicAdd(&words->rescored, rescored);
    // The candidates ascend, so that of equal scores the first is the lower latent. A candidate's place in the order is
    // the number of better ones.
    const float* const scores = screen.lower + row * screen.capacity;
    int64_t to = (begin + row) * task.k;
    for (int first = 0; first < state.count; first += warp_lanes) {
      const int mine = first + lane < state.count ? first + lane : first;
      const float value = scores[mine];
      int better = 0;
      for (int i = 0; i < state.count; ++i) better += scores[i] > value || (scores[i] == value && i < mine);
      const bool keep = first + lane < state.count && better < screen.k;
      const unsigned lanes = __ballot_sync(all_lanes, keep);
      if (keep) {
        const int64_t at = to + __popc(lanes & ((1u << lane) - 1u));
        task.columns[at] = screen.latent[row * screen.capacity + mine];
        task.values[at] = value;
      }
      to += __popc(lanes);
    }
  }
}

// A block for each row: of all, or of those that `states` says. A block has room for the scores of one.
template <class T>
SIMT_KERNEL whole_rows_kernel(EncodeTask<T> task, int64_t begin, int64_t rows, const RowState* states, T* room,
                              EncodeWords* words) {
  T* const scores = room + blockIdx.x * task.latents;
  const int64_t warps = blockDim.x / warp_lanes, warp = threadIdx.x / warp_lanes;
  for (int64_t i = blockIdx.x; i < rows; i += gridDim.x) {
    if (states != nullptr && states[i].count != whole_row) continue;
    const int64_t row = begin + i;
    bool finite = true;
    for (int64_t j = warp; j < task.latents; j += warps) {
      const T score = warp_dot(task.x + row * task.width, task.encoder + j * task.width, task.width) + task.bias[j];
      finite = finite && std::isfinite(score);
      if (lane_in_warp() == 0) scores[j] = score;
    }
    if (lane_in_warp() == 0 && !finite) atomicMin(&words->first_bad, static_cast<int>(row));
    if (threadIdx.x == 0 && states != nullptr) atomicAdd(&words->whole_rows, 1);
    __syncthreads();
    choose_row<T>({scores, task.latents, task.k, task.columns + row * task.k, task.values + row * task.k});
    __syncthreads();
  }
}

/// Uninitialised memory of a device for as long as it is in scope.
template <class T>
class Room {
 public:
  Room(Device& device, int64_t count) : buffer_(device.allocate(static_cast<size_t>(count) * sizeof(T))) {}
  T* data() const { return static_cast<T*>(buffer_->data()); }

 private:
  std::shared_ptr<Buffer> buffer_;
};

/// Rows that are computed whole at the same time.
template <class T>
int64_t whole_rows_at_once(int64_t rows, int64_t latents) {
  const int64_t fit = max(int64_t{1}, whole_row_bytes / (latents * static_cast<int64_t>(sizeof(T))));
  return min(rows, min(fit, int64_t{264}));
}

}  // namespace

template <class Factor>
void screen_matrix(const Stream& stream, const float* matrix, int64_t rows, int64_t width, Factor* elements,
                   float* norms, float* residual_norms) {
  launch(stream, screen_matrix_kernel<Factor>, blocks_for_warps(rows), threads_per_block, 0, matrix, rows, width,
         elements, norms, residual_norms);
}

template <class Factor>
void encode_screened(Device& device, const EncodeTask<float>& task, const ScreenedMatrix<Factor>& encoder, bool exact,
                     EncodeWords* words) {
  if (task.rows == 0) return;
  const Stream& stream = device.stream();
  const int64_t panels = (task.latents + panel_width - 1) / panel_width;
  const Room<PanelBounds> bounds(device, panels);
  const Room<Largest> of_panel(device, panels), largest(device, 1);
  launch(stream, panel_bounds_kernel, blocks_for_warps(panels), threads_per_block, 0, encoder.norms,
         encoder.residual_norms, task.bias, task.latents, exact, bounds.data(), of_panel.data());
  launch(stream, largest_kernel, 1, warp_lanes, 0, of_panel.data(), panels, largest.data());

  const int64_t most_rows = min(task.rows, rows_at_once), most_cols = min(task.latents, latents_at_once);
  const auto limit = static_cast<int>(2 * task.k + panel_width), capacity = limit + static_cast<int>(panel_width);
  const Room<RowState> states(device, most_rows);
  const Room<float> lower(device, most_rows * capacity), upper(device, most_rows * capacity);
  const Room<int32_t> latent(device, most_rows * capacity);
  const Screen screen = {states.data(),           lower.data(), upper.data(), latent.data(), capacity, limit,
                         static_cast<int>(task.k)};
  const Room<float> scores(device, most_rows * most_cols), norms(device, 2 * most_rows);
  const Room<Factor> rounded(device, std::is_same_v<Factor, float> ? 0 : most_rows * task.width);
  const int64_t whole_blocks = whole_rows_at_once<float>(most_rows, task.latents);
  const Room<float> whole(device, whole_blocks * task.latents);
  const float relative_error = sum_error(task.width) + dot_error(task.width);

  for (int64_t begin = 0; begin < task.rows; begin += rows_at_once) {
    const int64_t rows = min(rows_at_once, task.rows - begin);
    const float* const x = task.x + begin * task.width;
    screen_matrix<Factor>(stream, x, rows, task.width, rounded.data(), norms.data(), norms.data() + rows);
    launch(stream, start_rows_kernel, blocks_for(rows), threads_per_block, 0, screen, norms.data(), norms.data() + rows,
           rows, largest.data(), relative_error, exact);
    const Factor* factor = rounded.data();
    if constexpr (std::is_same_v<Factor, float>) factor = x;
    for (int64_t first = 0; first < task.latents; first += latents_at_once) {
      const int64_t cols = min(latents_at_once, task.latents - first);
      dense_product<Factor, float>(device, factor, encoder.elements + first * task.width, scores.data(),
                                   {rows, task.width, cols, false, true});
      launch(stream, filter_kernel, blocks_for_warps(rows), threads_per_block, 0, screen, scores.data(), rows, cols,
             first, task.bias, bounds.data());
    }
    launch(stream, finish_kernel, blocks_for_warps(rows), threads_per_block, 0, screen, task, begin, rows, exact,
           words);
    launch(stream, whole_rows_kernel<float>, static_cast<unsigned>(min(rows, whole_blocks)), buckets, 0, task, begin,
           rows, states.data(), whole.data(), words);
  }
}

template <class T>
void encode_whole(Device& device, const EncodeTask<T>& task, EncodeWords* words) {
  if (task.rows == 0) return;
  const int64_t blocks = whole_rows_at_once<T>(task.rows, task.latents);
  const Room<T> room(device, blocks * task.latents);
  launch(device.stream(), whole_rows_kernel<T>, static_cast<unsigned>(blocks), buckets, 0, task, int64_t{0}, task.rows,
         static_cast<const RowState*>(nullptr), room.data(), words);
}

template void screen_matrix<float>(const Stream&, const float*, int64_t, int64_t, float*, float*, float*);
template void screen_matrix<bfloat16>(const Stream&, const float*, int64_t, int64_t, bfloat16*, float*, float*);
template void encode_screened<float>(Device&, const EncodeTask<float>&, const ScreenedMatrix<float>&, bool,
                                     EncodeWords*);
template void encode_screened<bfloat16>(Device&, const EncodeTask<float>&, const ScreenedMatrix<bfloat16>&, bool,
                                        EncodeWords*);
template void encode_whole<double>(Device&, const EncodeTask<double>&, EncodeWords*);

}  // namespace sae::SIMT_NAMESPACE
