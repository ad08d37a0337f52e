#pragma once

#include <cstddef>

// A GPU's memory is not for the host to read or write, but simt's lies in the host's own, where such a mistake would go
// unseen. With SAE_SIMT_GUARD=1 in the environment, the memory of simt devices can only be touched while a kernel, or
// the device's own copy, is at work: anything else ends the program, saying so.

namespace sae::simt {

/// Is SAE_SIMT_GUARD set?
bool memory_is_guarded();

/// Whole pages for a simt device, null where there are none; forbidden to all but DeviceAccess. Only where memory is
/// guarded.
void* allocate_guarded(size_t bytes);
void free_guarded(void* data) noexcept;

/// As long as one exists, simt's memory may be touched, by every thread. Free of cost where memory is not guarded.
class DeviceAccess {
 public:
  DeviceAccess() {
    if (guarded_) allow();
  }
  ~DeviceAccess() {
    if (guarded_) forbid();
  }
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;

 private:
  static void allow();
  static void forbid();
  const bool guarded_ = memory_is_guarded();
};

}  // namespace sae::simt
