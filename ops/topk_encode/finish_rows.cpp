#include "ops/topk_encode/finish_rows.h"

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "engine/row_kernels.h"

namespace sae::cpu {
namespace {

/// The k-th largest of `values`; `scratch` is written over.
float kth_largest(std::span<const float> values, int64_t k, std::vector<float>& scratch) {
  scratch.assign(values.begin(), values.end());
  std::nth_element(scratch.begin(), scratch.begin() + (k - 1), scratch.end(), std::greater<>());
  return scratch[static_cast<size_t>(k - 1)];
}

/// The candidates of a chunk of rows, row after row. Those of a row ascend by latent, as the screening met them.
class Chunk {
 public:
  Chunk(const EncodeTask<float>& task, int64_t begin, int64_t count, const ScreenedRow* states)
      : task_(task), begin_(begin), count_(count) {
    for (const ScreenedRow& state : std::span(states, static_cast<size_t>(count))) {
      latents_.insert(latents_.end(), state.latent, state.latent + state.count);
      scores_.insert(scores_.end(), state.lower, state.lower + state.count);
      first_.push_back(static_cast<int32_t>(scores_.size()));
    }
  }

  /// How many a row has: none if they did not fit.
  int64_t candidates(int64_t row) const {
    return first_[static_cast<size_t>(row) + 1] - first_[static_cast<size_t>(row)];
  }

  /// Scores all of them in float32, grouped by latent: the rows of a chunk lie in a core's cache, and each row of the
  /// encoder, which does not, is read once.
  void score_again() {
    // A stable counting sort by latent.
    std::vector<int32_t> offsets(static_cast<size_t>(task_.latents) + 1, 0);
    for (const int32_t latent : latents_) ++offsets[static_cast<size_t>(latent) + 1];
    for (size_t j = 1; j < offsets.size(); ++j) offsets[j] += offsets[j - 1];
    std::vector<int32_t> places(latents_.size()), rows(latents_.size()), sorted(latents_.size());
    for (int64_t row = 0; row < count_; ++row) {
      for (int32_t place = first_[static_cast<size_t>(row)]; place < first_[static_cast<size_t>(row) + 1]; ++place) {
        const int32_t latent = latents_[static_cast<size_t>(place)];
        const auto to = static_cast<size_t>(offsets[static_cast<size_t>(latent)]++);
        places[to] = place;
        rows[to] = static_cast<int32_t>(row);
        sorted[to] = latent;
      }
    }
    std::vector<float> scores(sorted.size());
    paired_dots(task_.x + begin_ * task_.width, rows.data(), task_.encoder, sorted.data(),
                static_cast<int64_t>(sorted.size()), task_.width, scores.data());
    for (size_t i = 0; i < scores.size(); ++i) {
      scores_[static_cast<size_t>(places[i])] = scores[i] + task_.bias[sorted[i]];
    }
  }

  /// Writes the k best, of equal ones those of the lower latents, in ascending order of latents.
  void choose(int64_t row) {
    const auto first = static_cast<size_t>(first_[static_cast<size_t>(row)]);
    const std::span<const float> scores = {scores_.data() + first, static_cast<size_t>(candidates(row))};
    const float least = kth_largest(scores, task_.k, scratch_);
    int64_t ties = task_.k - std::count_if(scores.begin(), scores.end(), [&](float score) { return score > least; });
    int64_t at = (begin_ + row) * task_.k;
    for (size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] < least || (scores[i] == least && ties-- <= 0)) continue;
      task_.columns[at] = latents_[first + i];
      task_.values[at++] = scores[i];
    }
  }

 private:
  const EncodeTask<float>& task_;
  int64_t begin_, count_;
  std::vector<int32_t> first_ = {0};  // [rows + 1], where a row's candidates begin
  std::vector<int32_t> latents_;
  std::vector<float> scores_;  // screened, until score_again
  std::vector<float> scratch_;
};

}  // namespace

void finish_rows(const EncodeTask<float>& task, int64_t begin, int64_t count, const ScreenedRow* states, bool exact,
                 int32_t* rescored) {
  Chunk chunk(task, begin, count, states);
  if (exact) chunk.score_again();
  for (int64_t row = 0; row < count; ++row) {
    rescored[row] = exact ? static_cast<int32_t>(chunk.candidates(row)) : 0;
    if (states[row].overflowed) {
      rescored[row] = not_finished;
    } else {
      chunk.choose(row);
    }
  }
}

}  // namespace sae::cpu
