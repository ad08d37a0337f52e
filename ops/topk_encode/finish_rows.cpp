#include "ops/topk_encode/finish_rows.h"

#include <algorithm>
#include <limits>

#include "engine/row_kernels.h"
#include "ops/topk/topk_cpu.h"

namespace sae::cpu {
namespace {

void prefetch_row(const float* row, int64_t width) {
  for (int64_t i = 0; i < width; i += 16) __builtin_prefetch(row + i);
}

/// Lists the candidates (lower bound, place), the k with the best lower bounds before the others.
void best_first(const ScreenedRow& state, int64_t k, std::vector<Candidate<float>>& order) {
  order.clear();
  for (int64_t i = 0; i < state.count; ++i) order.push_back({state.lower[i], static_cast<int32_t>(i)});
  if (k == state.count) return;
  std::nth_element(order.begin(), order.begin() + (k - 1), order.end(), [](const auto& a, const auto& b) {
    return a.value > b.value || (a.value == b.value && a.column < b.column);
  });
}

/// Scores of (row, latent) pairs, grouped by latent: the rows of a chunk lie in a core's cache, and each row of the
/// encoder, which does not, is read once.
class Rescoring {
 public:
  Rescoring(const EncodeTask<float>& task, int64_t begin, int64_t count)
      : task_(task), begin_(begin), scores_(static_cast<size_t>(count * task.k)) {}

  /// The k candidates of row `row` of the chunk that `order` lists first.
  void add(int64_t row, const ScreenedRow& state, const std::vector<Candidate<float>>& order) {
    for (int64_t i = 0; i < task_.k; ++i) {
      pairs_.push_back({state.latent[order[static_cast<size_t>(i)].column], static_cast<int32_t>(row * task_.k + i)});
    }
  }

  void score_all() {
    // A stable counting sort by latent.
    std::vector<int32_t> offsets(static_cast<size_t>(task_.latents) + 1, 0);
    for (const Pair& pair : pairs_) ++offsets[static_cast<size_t>(pair.latent) + 1];
    for (size_t j = 1; j < offsets.size(); ++j) offsets[j] += offsets[j - 1];
    std::vector<Pair> sorted(pairs_.size());
    for (const Pair& pair : pairs_) sorted[static_cast<size_t>(offsets[static_cast<size_t>(pair.latent)]++)] = pair;
    constexpr size_t ahead = 4;
    for (size_t i = 0; i < sorted.size(); ++i) {
      const Pair& pair = sorted[i];
      if (i + ahead < sorted.size() && sorted[i + ahead].latent != sorted[i + ahead - 1].latent) {
        prefetch_row(task_.encoder + sorted[i + ahead].latent * task_.width, task_.width);
      }
      scores_[static_cast<size_t>(pair.place)] = score(pair.place / task_.k, pair.latent);
    }
  }

  float score(int64_t row, int32_t latent) const {
    return dot(task_.x + (begin_ + row) * task_.width, task_.encoder + latent * task_.width, task_.width) +
           task_.bias[latent];
  }

  const float* scores(int64_t row) const { return scores_.data() + row * task_.k; }

 private:
  struct Pair {
    int32_t latent;
    int32_t place;  // in scores_
  };
  const EncodeTask<float>& task_;
  int64_t begin_;
  std::vector<float> scores_;  // [count, k]
  std::vector<Pair> pairs_;
};

}  // namespace

void finish_rows(const EncodeTask<float>& task, int64_t begin, int64_t count, const ScreenedRow* states, bool exact,
                 int32_t* rescored) {
  const int64_t k = task.k;
  std::vector<std::vector<Candidate<float>>> orders(static_cast<size_t>(count));
  Rescoring rescoring(task, begin, exact ? count : 0);
  for (int64_t row = 0; row < count; ++row) {
    const ScreenedRow& state = states[row];
    if (state.overflowed) continue;
    std::vector<Candidate<float>>& order = orders[static_cast<size_t>(row)];
    best_first(state, k, order);
    if (exact) rescoring.add(row, state, order);
  }
  if (exact) rescoring.score_all();
  std::vector<Candidate<float>> scored;
  for (int64_t row = 0; row < count; ++row) {
    const ScreenedRow& state = states[row];
    rescored[row] = state.overflowed ? not_finished : 0;
    if (state.overflowed) continue;
    const std::vector<Candidate<float>>& order = orders[static_cast<size_t>(row)];
    scored.clear();
    float worst = std::numeric_limits<float>::infinity();  // of the first k: the k-th best score is no lower
    for (int64_t i = 0; i < k; ++i) {
      const Candidate<float>& candidate = order[static_cast<size_t>(i)];
      const float score = exact ? rescoring.scores(row)[i] : candidate.value;
      worst = std::min(worst, score);
      scored.push_back({score, state.latent[candidate.column]});
    }
    for (auto i = static_cast<size_t>(k); i < order.size(); ++i) {
      if (!exact || state.upper[order[i].column] < worst) continue;
      const int32_t latent = state.latent[order[i].column];
      scored.push_back({rescoring.score(row, latent), latent});
    }
    if (exact) rescored[row] = static_cast<int32_t>(scored.size());
    choose(scored, k, task.columns + (begin + row) * k, task.values + (begin + row) * k);
  }
}

}  // namespace sae::cpu
