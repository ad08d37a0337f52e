#include "engine/parameter.h"

#include "engine/error.h"

namespace sae {

void Parameter::assign(const Tensor& elements) {
  CHECK(elements.shape() == value_.shape() && elements.dtype() == value_.dtype(), "'{}' is {}, it cannot become {}",
        name_, value_.describe(), elements.describe());
  const Tensor here = elements.to(value_.device());
  value_.device().copy(const_cast<void*>(value_.raw()), here.raw(), static_cast<size_t>(here.bytes()));
  ++version_;
}

}  // namespace sae
