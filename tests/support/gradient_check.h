#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "engine/tape.h"
#include "tests/support/tensors.h"

namespace sae::testing {

/// What design rule "gradient checks" demands of every op.
inline constexpr double gradient_tolerance = 1e-6;

namespace check {

inline bool same_elements(const Tensor& a, const Tensor& b) {
  if (a.same_memory(b)) return true;
  if (a.elements() != b.elements() || a.dtype() != b.dtype()) return false;
  return a.dtype() == Dtype::i32 ? a.to_vector<int32_t>() == b.to_vector<int32_t>()
                                 : a.to_vector<int64_t>() == b.to_vector<int64_t>();
}

inline bool equal_pattern(const Value& a, const Value& b) {
  if (a.index() != b.index()) return false;
  if (const auto* left = std::get_if<RowSparse>(&a)) {
    return same_elements(left->columns.index(), std::get<RowSparse>(b).columns.index());
  }
  if (const auto* left = std::get_if<CompressedRows>(&a)) {
    const auto& right = std::get<CompressedRows>(b);
    return same_elements(left->offsets, right.offsets) && same_elements(left->index, right.index);
  }
  return true;
}

/// The sum of all products of elements. Values of one pattern are multiplied entry by entry, so that a step that
/// changes which entries are stored is an error here and not a wrong derivative.
inline double inner_product(const Value& cotangent, const Value& output) {
  std::vector<double> a, b;
  if (cotangent.index() == output.index()) {
    CHECK(equal_pattern(cotangent, output), "gradient check: a step changed the pattern of {}; choose other inputs",
          describe(output));
    a = to_double(stored_values(cotangent));
    b = to_double(stored_values(output));
  } else {
    a = dense_values(cotangent);
    b = dense_values(output);
  }
  CHECK(a.size() == b.size(), "gradient check: a cotangent {} for {}", describe(cotangent), describe(output));
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace check

/// Compares the tape's gradient of <cotangent, f> with central differences, for every element of every parameter (f64
/// tensors). `f` builds the output anew on the tape it is given; it must watch the parameters itself. Returns the
/// worst difference of any parameter relative to its largest derivative (at least 0.01); prints where it is if it is
/// above the tolerance. Inputs must lie further than `step` from kinks and ties.
inline double gradient_error(const std::vector<Parameter*>& parameters, const std::function<Variable(Tape&)>& f,
                             const Value& cotangent, double step = 1e-5) {
  for (Parameter* parameter : parameters) parameter->gradient.clear();
  {
    Tape tape;
    const Variable output = f(tape);
    // A pattern that f builds anew each time is the same only by content; on the tape it must be the same memory.
    const bool rebuilt = cotangent.index() == output.value.index() && check::equal_pattern(cotangent, output.value);
    tape.backward(output, rebuilt ? with_stored_values(output.value, stored_values(cotangent)) : cotangent);
  }
  const auto objective = [&] {
    Tape tape;
    return check::inner_product(cotangent, f(tape).value);
  };
  double worst = 0;
  for (Parameter* parameter : parameters) {
    const Tensor& value = parameter->value();
    const auto analytic =
        to_double(materialize(parameter->gradient, value.device(), value.shape(), parameter->value().dtype()));
    const std::vector<double> centres = value.to_vector<double>();
    std::vector<double> numeric(analytic.size());
    for (size_t i = 0; i < numeric.size(); ++i) {
      const double centre = centres[i];
      const auto set = [&](double x) {
        parameter->update<double>([&](double* elements) { value.device().copy_from_host(elements + i, &x, sizeof x); });
      };
      const auto objective_at = [&](double x) {
        set(x);
        return objective();
      };
      const double up = objective_at(centre + step), down = objective_at(centre - step);
      set(centre);
      numeric[i] = (up - down) / (2 * step);
    }
    const double error = worst_difference(analytic, numeric, 0.01);
    if (error > gradient_tolerance) {
      for (size_t i = 0; i < numeric.size(); ++i) {
        if (i < 20)
          std::printf("%s[%zu]: tape %.9g, differences %.9g\n", parameter->name().c_str(), i, analytic[i], numeric[i]);
      }
    }
    worst = std::max(worst, error);
  }
  return worst;
}

/// The same with a random cotangent in the layout and pattern of the output.
inline double gradient_error(const std::vector<Parameter*>& parameters, const std::function<Variable(Tape&)>& f,
                             uint64_t seed = 99) {
  Tape tape;
  const Value output = f(tape).value;
  const Tensor& stored = stored_values(output);
  return gradient_error(parameters, f,
                        with_stored_values(output, random_tensor(stored.device(), stored.shape(), Dtype::f64, seed)));
}

/// The entries of a dense variable at the places of `pattern`, as a variable of that layout: how a test makes a sparse
/// input that depends on a parameter. Backward hands the sparse gradient through. `pattern` may be dense.
inline Variable at_pattern(const Variable& dense, const Value& pattern) {
  struct AtPatternNode final : Node {
    std::string_view name() const override { return "at_pattern"; }
    void backward(const Value& gradient, Gradients& to) override { to.add(0, gradient); }
  };
  const Tensor& matrix = require_dense("at_pattern", dense.value);
  if (std::holds_alternative<Tensor>(pattern)) return dense;
  Value value = with_stored_values(pattern, elements_at(matrix, pattern));
  if (dense.tape == nullptr) return value;
  return dense.tape->record(std::move(value), std::make_unique<AtPatternNode>(), {&dense});
}

}  // namespace sae::testing
