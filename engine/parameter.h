#pragma once

#include <string>
#include <utility>

#include "engine/gradient.h"
#include "engine/tensor.h"

namespace sae {

/// A trained tensor, found by its name. The only thing that is mutated in place, and only through update().
class Parameter {
 public:
  /// Takes the value, or a copy of it where somebody else holds its memory too: an update must not reach a tensor that
  /// others believe to be constant.
  Parameter(std::string name, Tensor value)
      : name_(std::move(name)),
        value_(value.defined() && value.buffer_.use_count() > 1 ? value.clone() : std::move(value)) {}
  Parameter(Parameter&&) = default;
  Parameter& operator=(Parameter&&) = default;
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  const std::string& name() const { return name_; }
  const Tensor& value() const { return value_; }
  /// Rises with every update: what was computed from an older version (a packed copy, a recorded step) is stale.
  int64_t version() const { return version_; }

  /// Calls write(T* elements) on the parameter's own memory, row-major, and raises the version.
  template <class T, class Write>
  void update(Write&& write) {
    value_.require_dtype(dtype_of<T>());
    std::forward<Write>(write)(const_cast<T*>(value_.data<T>()));
    ++version_;
  }

  /// Overwrites the elements with those of a tensor of the same shape and dtype, on any device.
  void assign(const Tensor& elements);

  Gradient gradient;

 private:
  std::string name_;
  Tensor value_;
  int64_t version_ = 0;
};

}  // namespace sae
