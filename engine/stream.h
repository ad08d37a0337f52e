#pragma once

#include <memory>

#include "engine/device.h"
#include "engine/simt/memory_guard.h"

namespace sae {

/// Where a device's kernels are launched: they run in the order of their launches. Only a kernel's own file
/// (NAME_cuda.cu) looks inside.
class Stream {
 public:
  /// cuda: a cudaStream_t; simt: a simt::Executor*; cpu: null.
  explicit Stream(void* handle) : handle_(handle) {}
  void* handle() const { return handle_; }
  /// What a library keeps for this stream between calls; the function that calls the library makes it.
  std::shared_ptr<void>& library_state() const { return library_state_; }

 private:
  void* handle_;
  mutable std::shared_ptr<void> library_state_;
};

}  // namespace sae

/// Declares a function of a NAME_cuda.cu in both of its namespaces: the file is compiled by nvcc into sae::cuda (where
/// there is an nvcc) and by the host compiler into sae::simt.
#define SIMT_DECLARE(...) \
  namespace simt {        \
  __VA_ARGS__;            \
  }                       \
  namespace cuda {        \
  __VA_ARGS__;            \
  }

/// Calls the one of the two that belongs to a device of that kind, simt or cuda. A build without nvcc cannot open a
/// cuda device, so there the second is never asked for.
#if defined(SAE_CUDA)
#define SIMT_CALL(kind, function, ...)                             \
  ((kind) == ::sae::DeviceKind::cuda ? cuda::function(__VA_ARGS__) \
                                     : (::sae::simt::DeviceAccess(), simt::function(__VA_ARGS__)))
#else
#define SIMT_CALL(kind, function, ...) \
  (static_cast<void>(kind), ::sae::simt::DeviceAccess(), simt::function(__VA_ARGS__))
#endif
