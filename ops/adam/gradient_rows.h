#pragma once

#include <memory>
#include <vector>

#include "engine/gradient.h"
#include "engine/parameter.h"

namespace sae {

/// Throw where a term does not fit the parameter.
void check_product(const DeferredProduct& product, const Parameter& parameter);
void check_rows(const RowsGradient& rows, const Parameter& parameter);

/// Room for one row of a gradient and for what it is formed from: one for each thread.
template <class T>
struct RowScratch {
  explicit RowScratch(int64_t width) : gradient(static_cast<size_t>(width)), part(gradient.size()) {}
  std::vector<T> gradient, part;
  std::vector<T> weights;
};

/// The gradient of a matrix parameter [rows, width], any row of which can be formed on its own: what an optimiser needs
/// that never writes the whole. Deferred products and listed rows are grouped by row (their pattern is sorted once,
/// however many gradients share it); dense terms are read.
template <class T>
class GradientRows {
 public:
  /// Throws where a term does not fit the parameter.
  explicit GradientRows(const Parameter& parameter);

  /// scratch.gradient = the sum of the terms' rows, term by term in the order in which they arrived; within a deferred
  /// product the batch's rows ascend.
  void form(int64_t row, RowScratch<T>& scratch) const;

 private:
  struct Term {
    const T* dense = nullptr;                    // [rows, width], or
    std::shared_ptr<const ColumnGroups> groups;  // the stored entries by row,
    const T* values = nullptr;                   // their values, null: all 1,
    const T* batch = nullptr;                    // and the dense factor [batch, width]

    bool has_none(int64_t row) const {
      const auto place = static_cast<size_t>(row);
      return dense == nullptr && groups->offsets[place] == groups->offsets[place + 1];
    }
  };
  void form_term(const Term& term, int64_t row, T* out, std::vector<T>& weights) const;

  int64_t width_;
  std::vector<Term> terms_;
  std::vector<Tensor> kept_;
};

}  // namespace sae
