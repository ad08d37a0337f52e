#include "engine/files/row_selection.h"

#include <algorithm>
#include <set>

#include "engine/error.h"

namespace sae {
namespace {

float median(std::span<const float> values) {
  std::vector<float> sorted(values.begin(), values.end());
  const auto middle = sorted.begin() + static_cast<int64_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

/// Streams of this seed that are passes over the data; others use small numbers.
constexpr uint64_t first_shuffle_stream = uint64_t{0x73687566} << 32;  // "shuf"

}  // namespace

RowSelection::RowSelection(const ActivationStore& store, const RowFilter& filter)
    : filter_(filter), median_norm_(median(store.norms())) {
  CHECK(filter.skip_positions >= 0, "row filter: expected at least 0 positions to skip, got {}", filter.skip_positions);
  CHECK(filter.max_norm_multiple >= 0, "row filter: expected a norm multiple of at least 0, got {}",
        filter.max_norm_multiple);
  CHECK(filter.skip_tokens.empty() || !store.token_ids().empty(),
        "{}: its rows have no token ids, so no tokens can be skipped", store.folder());
  for (const int64_t token : filter.skip_tokens) {
    CHECK(token >= 0 && token <= INT32_MAX, "row filter: expected token ids from 0 to {}, got {}", INT32_MAX, token);
  }
  const std::set<int64_t> skipped(filter.skip_tokens.begin(), filter.skip_tokens.end());
  const double longest = filter.max_norm_multiple * static_cast<double>(median_norm_);
  const bool has_tokens = !store.token_ids().empty();
  for (int64_t row = 0; row < store.rows(); ++row) {
    const auto i = static_cast<size_t>(row);
    if (has_tokens && store.positions()[i] < filter.skip_positions) {
      ++dropped_positions_;
    } else if (has_tokens && !skipped.empty() && skipped.contains(store.token_ids()[i])) {
      ++dropped_tokens_;
    } else if (filter.max_norm_multiple > 0 && static_cast<double>(store.norms()[i]) > longest) {
      ++dropped_norms_;
    } else {
      kept_.push_back(row);
    }
  }
  CHECK(!kept_.empty(), "{}: no row is left: {}", store.folder(), describe());
}

std::span<const int64_t> RowSelection::rows(int64_t begin, int64_t end) const {
  CHECK(0 <= begin && begin <= end && end <= count(), "row selection: rows [{}, {}) of {} were asked for", begin, end,
        count());
  return rows().subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

std::string RowSelection::describe() const {
  const int64_t dropped = dropped_positions_ + dropped_tokens_ + dropped_norms_;
  const int64_t total = count() + dropped;
  return fmt::format(
      "{} of {} rows; dropped {} ({:.2f} %): {} at positions below {}, {} skipped tokens, {} with norms above {:g} "
      "medians of {:g}",
      count(), total, dropped, 100.0 * static_cast<double>(dropped) / static_cast<double>(total), dropped_positions_,
      filter_.skip_positions, dropped_tokens_, dropped_norms_, filter_.max_norm_multiple, median_norm_);
}

std::vector<int64_t> RowOrder::rows(int64_t begin, int64_t count) const {
  CHECK(begin >= 0 && count >= 0, "row order: {} rows from position {} were asked for", count, begin);
  std::vector<int64_t> rows;
  rows.reserve(static_cast<size_t>(count));
  const int64_t in_pass = selection_.count();
  for (int64_t position = begin; position < begin + count;) {
    const int64_t pass = position / in_pass;
    const Permutation shuffled(static_cast<uint64_t>(in_pass), seed_,
                               first_shuffle_stream + static_cast<uint64_t>(pass));
    const int64_t end = std::min(begin + count, (pass + 1) * in_pass);
    for (; position < end; ++position) {
      const auto place = static_cast<uint64_t>(position % in_pass);
      rows.push_back(selection_.row(static_cast<int64_t>(shuffle_ ? shuffled(place) : place)));
    }
  }
  return rows;
}

}  // namespace sae
