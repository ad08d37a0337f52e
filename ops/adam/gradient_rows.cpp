#include "ops/adam/gradient_rows.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/row_kernels.h"

namespace sae {

void check_product(const DeferredProduct& product, const Parameter& parameter) {
  const Tensor& weights = parameter.value();
  CHECK(cols_of(product.sparse) == weights.rows() && product.dense.cols() == weights.cols(),
        "adam: '{}' is {}, its gradient is a product of {} and {}", parameter.name(), weights.describe(),
        describe(product.sparse), product.dense.describe());
}

void check_rows(const RowsGradient& rows, const Parameter& parameter) {
  CHECK(rows.values.cols() == parameter.value().cols(), "adam: '{}' is {}, its gradient has rows {}", parameter.name(),
        parameter.value().describe(), rows.values.describe());
}

template <class T>
GradientRows<T>::GradientRows(const Parameter& parameter) : width_(parameter.value().cols()) {
  const Tensor& weights = parameter.value();
  for (const GradientTerm& any : parameter.gradient.terms()) {
    Term& term = terms_.emplace_back();
    if (const auto* product = std::get_if<DeferredProduct>(&any)) {
      check_product(*product, parameter);
      term.groups = group_by_column(product->sparse);
      term.values = stored_values(product->sparse).data<T>();
      term.batch = product->dense.data<T>();
    } else if (const auto* rows = std::get_if<RowsGradient>(&any);
               rows != nullptr && rows->total_rows == weights.rows()) {
      check_rows(*rows, parameter);
      term.groups = group_by_column(one_entry_each(*rows));
      term.batch = rows->values.data<T>();
    } else {  // dense, or listed elements of a vector
      Gradient one;
      one.add(any);
      kept_.push_back(materialize(one, weights.device(), weights.shape(), weights.dtype()));
      term.dense = kept_.back().data<T>();
    }
  }
}

template <class T>
void GradientRows<T>::form_term(const Term& term, int64_t row, T* out, std::vector<T>& weights) const {
  if (term.dense != nullptr) {
    std::copy_n(term.dense + row * width_, width_, out);
    return;
  }
  const auto begin = static_cast<size_t>(term.groups->offsets[static_cast<size_t>(row)]);
  const auto end = static_cast<size_t>(term.groups->offsets[static_cast<size_t>(row) + 1]);
  weights.assign(end - begin, T{1});
  if (term.values != nullptr) {
    for (size_t e = begin; e < end; ++e) weights[e - begin] = term.values[term.groups->entries[e]];
  }
  weighted_rows(weights.data(), term.groups->rows.data() + begin, static_cast<int64_t>(end - begin), term.batch, width_,
                out, static_cast<int64_t>(term.groups->rows.size() - end));
}

template <class T>
void GradientRows<T>::form(int64_t row, RowScratch<T>& scratch) const {
  T* gradient = scratch.gradient.data();
  bool written = false;
  for (const Term& term : terms_) {
    if (term.has_none(row)) continue;  // most rows of the auxiliary loss, whose latents are alive
    T* const part = written ? scratch.part.data() : gradient;
    form_term(term, row, part, scratch.weights);
    if (written) add_scaled(gradient, T{1}, part, width_);
    written = true;
  }
  if (!written) std::fill_n(gradient, width_, T{0});
}

template class GradientRows<float>;
template class GradientRows<double>;

}  // namespace sae
