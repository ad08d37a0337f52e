#pragma once

#include "ops/adam/adam.h"
#include "ops/weight_averaging/weight_averaging.h"

namespace sae::on_device {

/// adam_step where the parameter lies on simt or cuda, then, unless `average` is null, WeightAverage::update, in one
/// pass over the rows. Deferred products over one pattern share one sort.
void adam_step(Parameter& parameter, AdamState& state, const AdamOptions& options, RowConstraint constraint,
               WeightAverage* average);

}  // namespace sae::on_device
