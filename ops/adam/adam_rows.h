#pragma once

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "ops/adam/adam.h"
#include "ops/adam/adam_cpu.h"
#include "ops/adam/gradient_rows.h"
#include "ops/weight_averaging/weight_averaging.h"

namespace sae {

/// Everything that one matrix's step touches, row by row: for the loops of adam_step and of ops that take several
/// matrices in one pass. Rows are independent of each other.
template <class T>
struct AdamRows {
  GradientRows<T> gradient;
  AdamFactors<T> factors;
  RowConstraint constraint;
  int64_t width;
  T *weights, *first_moment, *second_moment;
  RowAverage<T> average;  // of none: null elements

  /// The whole of adam.h for one row, then its part in the moving average. False where a weight is no longer finite.
  [[nodiscard]] bool step(int64_t row, RowScratch<T>& scratch) const {
    gradient.form(row, scratch);
    const int64_t at = row * width;
    const cpu::SteppedRow<T> stepped = {weights + at,
                                        first_moment + at,
                                        second_moment + at,
                                        scratch.gradient.data(),
                                        average.elements == nullptr ? nullptr : average.elements + at,
                                        average.decay,
                                        average.fraction};
    return std::isfinite(cpu::step_row(stepped, width, factors, constraint == RowConstraint::unit_norm));
  }
};

/// Throws unless the parameter has a gradient and the moments fit it.
inline void check_step(const Parameter& parameter, const AdamState& state) {
  CHECK(!parameter.gradient.empty(), "adam: '{}' has no gradient; run backward first", parameter.name());
  CHECK(state.first_moment.value().shape() == parameter.value().shape(), "adam: moments {} for '{}', which is {}",
        state.first_moment.value().describe(), parameter.name(), parameter.value().describe());
}

/// Checks gradient and moments, counts the step, and calls use(AdamRows<T>) with the parameter, its moments and (unless
/// null) its average open for writing. The gradient is cleared afterwards.
template <class T, class Use>
void with_adam_rows(Parameter& parameter, AdamState& state, const AdamOptions& options, RowConstraint constraint,
                    WeightAverage* average, Use&& use) {
  check_step(parameter, state);
  GradientRows<T> gradient(parameter);
  ++state.step;
  AdamRows<T> rows{std::move(gradient),
                   adam_factors<T>(options, state.step),
                   constraint,
                   parameter.value().cols(),
                   nullptr,
                   nullptr,
                   nullptr,
                   {}};
  parameter.update<T>([&](T* w) {
    state.first_moment.update<T>([&](T* m) {
      state.second_moment.update<T>([&](T* v) {
        rows.weights = w;
        rows.first_moment = m;
        rows.second_moment = v;
        if (average == nullptr) return use(std::as_const(rows));
        average->update_by_rows<T>(parameter, [&](const RowAverage<T>& by_rows) {
          rows.average = by_rows;
          use(std::as_const(rows));
        });
      });
    });
  });
  parameter.gradient.clear();
}

[[noreturn]] inline void fail_not_finite(const Parameter& parameter, int64_t row, int64_t step) {
  throw NotFinite(fmt::format("adam: row {} of '{}' became infinite or NaN at step {}; lower the learning rate", row,
                              parameter.name(), step));
}

}  // namespace sae
