#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/files/activation_store.h"
#include "engine/philox.h"

namespace sae {

/// Which rows are left out. Language models park their attention on some tokens, the first of a context above all, and
/// their rows, a hundred times as long as others, would rule every mean.
struct RowFilter {
  int64_t skip_positions = 0;  ///< the first positions of every context; no effect where rows have no positions
  std::vector<int64_t> skip_tokens;
  double max_norm_multiple = 0;  ///< rows longer than this many medians (of the norms of all rows); 0: none
};

/// The rows of a store that a filter keeps, in stored order: the one mask of training, metrics and densities.
class RowSelection {
 public:
  /// Throws where a token or a limit is impossible and where no row is left.
  RowSelection(const ActivationStore& store, const RowFilter& filter);

  int64_t count() const { return static_cast<int64_t>(kept_.size()); }
  int64_t row(int64_t i) const { return kept_[static_cast<size_t>(i)]; }
  /// Row numbers of the store, ascending.
  std::span<const int64_t> rows() const { return kept_; }
  std::span<const int64_t> rows(int64_t begin, int64_t end) const;
  float median_norm() const { return median_norm_; }
  /// "590625 of 600000 rows; dropped 9375 (1.56 %): 9375 at positions below 1, 0 skipped tokens, 0 with norms above
  /// 10 medians of 301.2". A row counts under the first reason that applies.
  std::string describe() const;

 private:
  RowFilter filter_;
  std::vector<int64_t> kept_;
  int64_t dropped_positions_ = 0, dropped_tokens_ = 0, dropped_norms_ = 0;
  float median_norm_ = 0;
};

/// The endless stream of rows that training reads: position p is row p % count of pass p / count, and every pass goes
/// through all selected rows once, in an order of its own (or in stored order). A function of the seed and the position
/// alone: a resumed run needs nothing but its counter.
class RowOrder {
 public:
  RowOrder(const RowSelection& selection, uint64_t seed, bool shuffle)
      : selection_(selection), seed_(seed), shuffle_(shuffle) {}

  /// The store's rows at positions [begin, begin + count).
  std::vector<int64_t> rows(int64_t begin, int64_t count) const;

 private:
  const RowSelection& selection_;
  uint64_t seed_;
  bool shuffle_;
};

}  // namespace sae
