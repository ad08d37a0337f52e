#pragma once

#include "ops/adam/adam.h"
#include "ops/adam/adam_factors.h"
#include "ops/weight_averaging/weight_averaging.h"

namespace sae::on_device {

/// For a step for which nobody waits, f32: it reads its factors from memory of the device, so that a recorded step
/// stays right, and leaves there the first row in which a weight is no longer finite.
struct AdamAhead {
  const AdamFactors<float>* factors;
  int* first_bad;  // starts as the largest int
};

/// adam_step where the parameter lies on simt or cuda, then, unless `average` is null, WeightAverage::update, in one
/// pass over the rows. Deferred products over one pattern share one sort. With `ahead`, the options are not looked at,
/// and nothing is thrown that only the device knows.
void adam_step(Parameter& parameter, AdamState& state, const AdamOptions& options, RowConstraint constraint,
               WeightAverage* average, const AdamAhead* ahead = nullptr);

}  // namespace sae::on_device
