#pragma once

#include "engine/parameter.h"

namespace sae {

/// The exponential moving average of a parameter over training (Gao et al. 2024):
///   average_t = decay average_{t-1} + (1 - decay) value_t,  average_0 = 0,
/// read as average_t / (1 - decay^t), which is a weighted mean of the values seen: the start from 0 does not show.
/// Element by element, in the parameter's dtype (f32 or f64). Not recorded on a tape.
class WeightAverage {
 public:
  /// Starts at t = 0. decay in [0, 1).
  WeightAverage(const Parameter& parameter, double decay);

  /// Takes in the parameter's present value. Throws if its shape or dtype is another.
  void update(const Parameter& parameter);
  /// The bias-corrected average, a new tensor. Throws before the first update.
  Tensor value() const;

  /// What a checkpoint keeps: the average before correction (it shares memory with this object, and the next update
  /// rewrites it), and t.
  const Tensor& raw() const { return average_.value(); }
  int64_t updates() const { return updates_; }
  /// Goes on from such a state. Throws if the tensor does not fit or updates is negative.
  void restore(const Tensor& raw, int64_t updates);

 private:
  Parameter average_;
  double decay_;
  int64_t updates_ = 0;
};

}  // namespace sae
