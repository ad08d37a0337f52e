#include "ops/adam/adam_device.h"

#include <type_traits>
#include <vector>

#include "engine/error.h"
#include "engine/gradient_device.h"
#include "ops/adam/adam_cuda.h"
#include "ops/adam/adam_rows.h"

namespace sae::on_device {
namespace {

/// What the terms of a gradient point to.
struct KeptTerms {
  std::vector<std::shared_ptr<const ColumnGroups>> groups;
  std::vector<Tensor> dense;
};

template <class T>
GradientTermRows<T> rows_of_term(const GradientTerm& any, const Parameter& parameter, KeptTerms& kept) {
  const Tensor& weights = parameter.value();
  GradientTermRows<T> term;
  const auto use_groups = [&](const Value& sparse) {
    kept.groups.push_back(on_device::group_by_column(sparse));
    term.groups = kept.groups.back()->view;
  };
  if (const auto* product = std::get_if<DeferredProduct>(&any)) {
    require_same_device("adam", {&weights, &stored_values(product->sparse), &product->dense});
    check_product(*product, parameter);
    use_groups(product->sparse);
    term.values = stored_values(product->sparse).data<T>();
    term.batch = product->dense.data<T>();
  } else if (const auto* rows = std::get_if<RowsGradient>(&any);
             rows != nullptr && rows->total_rows == weights.rows()) {
    require_same_device("adam", {&weights, &rows->rows, &rows->values});
    check_rows(*rows, parameter);
    use_groups(one_entry_each(*rows));
    term.batch = rows->values.data<T>();
  } else {  // dense, or listed elements of a vector
    Gradient one;
    one.add(any);
    kept.dense.push_back(sae::materialize(one, weights.device(), weights.shape(), weights.dtype()));
    require_same_device("adam", {&weights, &kept.dense.back()});
    term.dense = kept.dense.back().data<T>();
  }
  return term;
}

template <class T>
AdamMatrix<T> matrix_of(const Parameter& parameter, KeptTerms& kept) {
  AdamMatrix<T> matrix;
  matrix.rows = parameter.value().rows();
  matrix.width = parameter.value().cols();
  const std::vector<GradientTerm>& terms = parameter.gradient.terms();
  CHECK(terms.size() <= most_gradient_terms, "adam: the gradient of '{}' has {} terms, on a device at most {}",
        parameter.name(), terms.size(), most_gradient_terms);
  for (const GradientTerm& term : terms) {
    matrix.terms[matrix.term_count++] = rows_of_term<T>(term, parameter, kept);
  }
  return matrix;
}

/// Opens what is written, one inside the other, and steps every row.
template <class T>
int64_t step_rows(AdamMatrix<T>& matrix, Parameter& parameter, AdamState& state, RowConstraint constraint,
                  WeightAverage* average, const AdamAhead* ahead) {
  Device& device = parameter.value().device();
  const bool unit_norm = constraint == RowConstraint::unit_norm;
  int64_t bad_row = -1;
  const auto step = [&] {
    if constexpr (std::is_same_v<T, float>) {
      if (ahead != nullptr) {
        return SIMT_CALL(device.kind(), launch_adam_rows, device.stream(), matrix, unit_norm, ahead->first_bad);
      }
    }
    bad_row = SIMT_CALL(device.kind(), adam_rows, device, matrix, unit_norm);
  };
  parameter.update<T>([&](T* w) {
    state.first_moment.update<T>([&](T* m) {
      state.second_moment.update<T>([&](T* v) {
        matrix.weights = w;
        matrix.first_moment = m;
        matrix.second_moment = v;
        if (average == nullptr) return step();
        average->update_by_rows<T>(parameter, [&](const RowAverage<T>& by_rows) {
          matrix.average = by_rows.elements;
          matrix.decay = by_rows.decay;
          matrix.fraction = by_rows.fraction;
          step();
        });
      });
    });
  });
  return bad_row;
}

}  // namespace

void adam_step(Parameter& parameter, AdamState& state, const AdamOptions& options, RowConstraint constraint,
               WeightAverage* average, const AdamAhead* ahead) {
  check_step(parameter, state);
  CHECK(ahead == nullptr || parameter.value().dtype() == Dtype::f32, "adam: '{}' is {}; steps run ahead in f32",
        parameter.name(), parameter.value().describe());
  visit_real("adam", parameter.value().dtype(), [&](auto zero) {
    using T = decltype(zero);
    CHECK(constraint == RowConstraint::none || parameter.value().cols() <= longest_unit_row<T>(),
          "adam: '{}' is {}; rows of unit length have at most {} elements on a device", parameter.name(),
          parameter.value().describe(), longest_unit_row<T>());
    KeptTerms kept;
    AdamMatrix<T> matrix = matrix_of<T>(parameter, kept);
    ++state.step;
    if (ahead == nullptr) matrix.factors = adam_factors<T>(options, state.step);
    if constexpr (std::is_same_v<T, float>) matrix.changing = ahead == nullptr ? nullptr : ahead->factors;
    const int64_t bad_row = step_rows(matrix, parameter, state, constraint, average, ahead);
    if (bad_row >= 0) fail_not_finite(parameter, bad_row, state.step);
  });
  parameter.gradient.clear();
}

}  // namespace sae::on_device
