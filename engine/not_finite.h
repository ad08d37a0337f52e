#pragma once

#include "engine/error.h"

namespace sae {

/// A value of training became NaN or infinite: the run diverged. A type of its own, because a search over learning
/// rates takes it as an answer, and any other error as an error.
class NotFinite : public Error {
 public:
  using Error::Error;
};

}  // namespace sae
