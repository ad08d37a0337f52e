#pragma once

#include <utility>

#include "engine/parameter.h"

namespace sae {

/// What takes single rows into a moving average (cpu::average_row): null elements where there is none.
template <class T>
struct RowAverage {
  T* elements = nullptr;
  T decay = 0, fraction = 0;  // fraction is 1 - decay
};

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
  /// The same for a caller that has each row in its hands: `write` gets a RowAverage<T> and must take in every row
  /// once.
  template <class T, class Write>
  void update_by_rows(const Parameter& parameter, Write&& write) {
    check_fits(parameter.value(), parameter.name());
    average_.update<T>([&](T* average) {
      std::forward<Write>(write)(RowAverage<T>{average, static_cast<T>(decay_), static_cast<T>(1 - decay_)});
    });
    ++updates_;
  }
  /// The bias-corrected average, a new tensor. Throws before the first update.
  Tensor value() const;

  /// What a checkpoint keeps: the average before correction (it shares memory with this object, and the next update
  /// rewrites it), and t.
  const Tensor& raw() const { return average_.value(); }
  int64_t updates() const { return updates_; }
  /// Goes on from such a state. Throws if the tensor does not fit or updates is negative.
  void restore(const Tensor& raw, int64_t updates);

 private:
  void check_fits(const Tensor& value, const std::string& name) const;

  Parameter average_;
  double decay_;
  int64_t updates_ = 0;
};

}  // namespace sae
