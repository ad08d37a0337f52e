#pragma once

#include <functional>
#include <vector>

#include "engine/tape.h"
#include "tests/support/tensors.h"

namespace sae::testing {

/// An op on float inputs against the same op on the same numbers in double, which is its reference: the worst
/// difference (worst_difference) of its output and of the gradients of all inputs, under a random gradient of the
/// output. The op must store the same places in both.
inline double float_error(const std::vector<Tensor>& inputs,
                          const std::function<Variable(const std::vector<Variable>&)>& op) {
  const auto run = [&](Dtype dtype) {
    std::vector<Parameter> parameters;
    for (const Tensor& input : inputs) parameters.emplace_back("input", input.to(dtype).clone());
    Tape tape;
    std::vector<Variable> variables;
    for (Parameter& parameter : parameters) variables.push_back(tape.watch(parameter));
    const Variable y = op(variables);
    std::vector<std::vector<double>> results = {dense_values(y.value)};
    const Tensor& stored = stored_values(y.value);
    const Tensor g = random_tensor(stored.device(), stored.shape(), Dtype::f32, 77).to(dtype);
    tape.backward(y, with_stored_values(y.value, g));
    for (const Parameter& parameter : parameters) {
      const Tensor& value = parameter.value();
      results.push_back(to_double(materialize(parameter.gradient, value.device(), value.shape(), dtype)));
    }
    return results;
  };
  const auto got = run(Dtype::f32), expected = run(Dtype::f64);
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, worst_difference(got[i], expected[i]));
  return worst;
}

}  // namespace sae::testing
