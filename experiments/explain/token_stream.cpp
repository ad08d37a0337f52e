#include "experiments/explain/token_stream.h"

#include <algorithm>
#include <limits>

#include "engine/error.h"

namespace sae {

TokenStream::TokenStream(const ActivationStore& store, const RowSelection& selection, int64_t first_position)
    : tokens_(store.token_ids().begin(), store.token_ids().end()) {
  CHECK(!tokens_.empty(), "{}: holds rows without tokens, which no token pattern can explain", store.folder());
  CHECK(store.rows() <= std::numeric_limits<int32_t>::max(), "{}: {} rows are more than can be numbered",
        store.folder(), store.rows());
  for (const int64_t row : selection.rows()) {
    const int64_t position = store.positions()[static_cast<size_t>(row)];
    CHECK(position <= row && store.positions()[static_cast<size_t>(row - position)] == 0,
          "{}: row {} at position {} has no whole context before it", store.folder(), row, position);
    begins_.push_back(std::min(row - position + first_position, row + 1));
    ends_.push_back(row);
  }
  const int32_t largest = *std::max_element(tokens_.begin(), tokens_.end());
  token_begins_.assign(static_cast<size_t>(largest) + 2, 0);
  for (int64_t i = 0; i < rows(); ++i) ++token_begins_[static_cast<size_t>(token(i)) + 1];
  for (size_t i = 1; i < token_begins_.size(); ++i) token_begins_[i] += token_begins_[i - 1];
  by_token_.resize(ends_.size());
  std::vector<int64_t> next(token_begins_.begin(), token_begins_.end() - 1);
  for (int64_t i = 0; i < rows(); ++i) {
    by_token_[static_cast<size_t>(next[static_cast<size_t>(token(i))]++)] = static_cast<int32_t>(i);
  }
}

std::span<const int32_t> TokenStream::context(int64_t row) const {
  const int64_t begin = begins_[static_cast<size_t>(row)], end = ends_[static_cast<size_t>(row)] + 1;
  return {tokens_.data() + begin, static_cast<size_t>(end - begin)};
}

std::span<const int32_t> TokenStream::rows_at(int32_t token) const {
  if (token < 0 || static_cast<size_t>(token) + 1 >= token_begins_.size()) return {};
  const int64_t begin = token_begins_[static_cast<size_t>(token)], end = token_begins_[static_cast<size_t>(token) + 1];
  return {by_token_.data() + begin, static_cast<size_t>(end - begin)};
}

}  // namespace sae
