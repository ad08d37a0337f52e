#pragma once

#include <memory>

#include "engine/cuda/blas.h"
#include "engine/cuda/sparse.h"
#include "engine/stream.h"

namespace sae::cuda {

/// What belongs to one stream of the toolkit's libraries, each made at its first call.
class Libraries {
 public:
  static Libraries& of(const Stream& stream) {
    std::shared_ptr<void>& state = stream.library_state();
    if (state == nullptr) state = std::make_shared<Libraries>();
    return *static_cast<Libraries*>(state.get());
  }
  Blas& blas() {
    if (blas_ == nullptr) blas_ = std::make_unique<Blas>();
    return *blas_;
  }
  Sparse& sparse() {
    if (sparse_ == nullptr) sparse_ = std::make_unique<Sparse>();
    return *sparse_;
  }

 private:
  std::unique_ptr<Blas> blas_;
  std::unique_ptr<Sparse> sparse_;
};

}  // namespace sae::cuda
