#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/files/row_selection.h"

namespace sae {

/// The tokens behind a store's rows: what explanations are built from and held against. Rows are numbered through the
/// selection: position 0 of a context and other rows that are left out have no number, but their tokens may be seen in
/// the contexts of others.
class TokenStream {
 public:
  /// `first_position`: of a context that patterns may see; 1 leaves the attention sink out. Throws where the store has
  /// no tokens (an imported matrix), or its positions do not number the rows of contexts.
  TokenStream(const ActivationStore& store, const RowSelection& selection, int64_t first_position);

  int64_t rows() const { return static_cast<int64_t>(ends_.size()); }
  /// The tokens of row i's context from the first position up to its own; none if it stands before that.
  std::span<const int32_t> context(int64_t row) const;
  /// The token at a row.
  int32_t token(int64_t row) const { return tokens_[static_cast<size_t>(ends_[static_cast<size_t>(row)])]; }
  /// The rows at one token, ascending.
  std::span<const int32_t> rows_at(int32_t token) const;

 private:
  std::vector<int32_t> tokens_;         // of all rows of the store
  std::vector<int64_t> begins_, ends_;  // of each selected row: its context's first visible row, and the row itself
  std::vector<int32_t> by_token_;       // selected rows, by token
  std::vector<int64_t> token_begins_;   // [tokens + 1] into by_token_
};

}  // namespace sae
