#include "engine/forward_only.h"

#include "engine/error.h"

namespace sae {

const Tensor& require_constant(std::string_view op, const Variable& input) {
  CHECK(input.tape == nullptr, "{}: it has no backward and cannot be recorded on a tape; pass the value as a constant",
        op);
  return require_dense(op, input.value);
}

}  // namespace sae
