#include "ops/adam/adam.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <vector>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "engine/row_kernels.h"
#include "ops/adam/adam_cpu.h"
#include "ops/unit_norm/row_projection.h"

namespace sae {
namespace {

/// A term of the gradient from which any one row can be formed.
template <class T>
struct RowSource {
  const T* dense = nullptr;            // rows [rows, width], or
  std::optional<ColumnGroups> groups;  // the stored entries of a deferred product by latent,
  std::vector<T> weights;              // their values, in the groups' order,
  const T* batch = nullptr;            // and the dense factor [batch, width]
};

template <class T>
RowSource<T> row_source(const GradientTerm& term, const Parameter& parameter, std::vector<Tensor>& kept) {
  RowSource<T> source;
  if (const auto* product = std::get_if<DeferredProduct>(&term)) {
    CHECK(cols_of(product->sparse) == parameter.value().rows() && product->dense.cols() == parameter.value().cols(),
          "adam: '{}' is {}, its gradient is a product of {} and {}", parameter.name(), parameter.value().describe(),
          describe(product->sparse), product->dense.describe());
    source.groups = group_by_column(product->sparse);
    const Tensor& values = stored_values(product->sparse);
    source.weights.resize(source.groups->entries.size());
    for (size_t e = 0; e < source.weights.size(); ++e) source.weights[e] = values.data<T>()[source.groups->entries[e]];
    source.batch = product->dense.data<T>();
    return source;
  }
  // A dense term, or listed rows written out: the few dense gradients are those of biases and of small models.
  Gradient one;
  one.add(term);
  kept.push_back(materialize(one, parameter.value().device(), parameter.value().shape(), parameter.value().dtype()));
  source.dense = kept.back().data<T>();
  return source;
}

/// gradient[width] = the sum of the sources' rows, in their order; `scratch` is [width].
template <class T>
void form_row(const std::vector<RowSource<T>>& sources, int64_t row, int64_t width, T* gradient, T* scratch) {
  bool first = true;
  for (const RowSource<T>& source : sources) {
    const T* part = scratch;
    if (source.groups) {
      const int64_t begin = source.groups->offsets[static_cast<size_t>(row)];
      const int64_t count = source.groups->offsets[static_cast<size_t>(row) + 1] - begin;
      weighted_rows(source.weights.data() + begin, source.groups->rows.data() + begin, count, source.batch, width,
                    first ? gradient : scratch);
      if (first) part = gradient;
    } else {
      part = source.dense + row * width;
    }
    if (part != gradient) {
      for (int64_t i = 0; i < width; ++i) gradient[i] = first ? part[i] : gradient[i] + part[i];
    }
    first = false;
  }
}

template <class T>
cpu::AdamFactors<T> factors_of(const AdamOptions& options, int64_t step) {
  const auto t = static_cast<double>(step);
  return {static_cast<T>(options.beta1),
          static_cast<T>(1 - options.beta1),
          static_cast<T>(options.beta2),
          static_cast<T>(1 - options.beta2),
          static_cast<T>(options.learning_rate / (1 - std::pow(options.beta1, t))),
          static_cast<T>(1 / std::sqrt(1 - std::pow(options.beta2, t))),
          static_cast<T>(options.epsilon)};
}

template <class T>
void step_rows(Parameter& parameter, AdamState& state, const AdamOptions& options, RowConstraint constraint) {
  std::vector<Tensor> kept;
  std::vector<RowSource<T>> sources;
  for (const GradientTerm& term : parameter.gradient.terms()) {
    sources.push_back(row_source<T>(term, parameter, kept));
  }
  const int64_t rows = parameter.value().rows(), width = parameter.value().cols();
  const cpu::AdamFactors<T> factors = factors_of<T>(options, state.step);
  const bool unit = constraint == RowConstraint::unit_norm;
  const auto update_rows = [&](T* w, T* m, T* v) {
    parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
      std::vector<T> scratch(static_cast<size_t>(2 * width));
      T* gradient = scratch.data();
      for (int64_t row = begin; row < end; ++row) {
        T* weights = w + row * width;
        form_row(sources, row, width, gradient, scratch.data() + width);
        if (unit) remove_parallel(gradient, weights, width);
        cpu::adam_row_fast(weights, m + row * width, v + row * width, gradient, width, factors);
        if (unit) normalise_row(weights, width);
        if (!std::isfinite(dot(weights, weights, width))) {
          throw NotFinite(fmt::format("adam: row {} of '{}' became infinite or NaN at step {}; lower the learning rate",
                                      row, parameter.name(), state.step));
        }
      }
    });
  };
  parameter.update<T>([&](T* w) {
    state.first_moment.update<T>([&](T* m) { state.second_moment.update<T>([&](T* v) { update_rows(w, m, v); }); });
  });
}

}  // namespace

AdamState::AdamState(const Parameter& parameter)
    : first_moment(parameter.name() + ".first_moment",
                   Tensor::zeros(parameter.value().device(), parameter.value().shape(), parameter.value().dtype())),
      second_moment(parameter.name() + ".second_moment",
                    Tensor::zeros(parameter.value().device(), parameter.value().shape(), parameter.value().dtype())) {}

void adam_step(Parameter& parameter, AdamState& state, const AdamOptions& options, RowConstraint constraint) {
  CHECK(!parameter.gradient.empty(), "adam: '{}' has no gradient; run backward first", parameter.name());
  CHECK(state.first_moment.value().shape() == parameter.value().shape(), "adam: moments {} for '{}', which is {}",
        state.first_moment.value().describe(), parameter.name(), parameter.value().describe());
  if (parameter.value().device().kind() != DeviceKind::cpu) refuse_device("adam", parameter.value().device().kind());
  ++state.step;
  visit_real("adam", parameter.value().dtype(),
             [&](auto zero) { step_rows<decltype(zero)>(parameter, state, options, constraint); });
  parameter.gradient.clear();
}

}  // namespace sae
