#pragma once

#include <cstring>

#include "engine/host_device.h"
#include "engine/simt/executor.h"
#include "engine/simt/memory_guard.h"

namespace sae::simt {

/// Runs the CUDA sources on this machine's processor, in its memory. New buffers are full of NaNs, so that a kernel
/// that leaves elements out is seen; engine/simt/memory_guard.h says how the host is seen that touches them.
class SimtDevice final : public HostDevice {
 public:
  /// `schedule`: the order of lanes and blocks (Executor).
  explicit SimtDevice(uint64_t schedule = 0) : HostDevice(DeviceKind::simt), executor_(schedule), stream_(&executor_) {}
  ~SimtDevice() override { release_cache(); }

  const Stream& stream() const override { return stream_; }
  const Executor& executor() const { return executor_; }

  void copy(void* to, const void* from, size_t bytes) override {
    const DeviceAccess access;
    HostDevice::copy(to, from, bytes);
  }
  void clear(void* data, size_t bytes) override {
    const DeviceAccess access;
    HostDevice::clear(data, bytes);
  }

 private:
  void handed_out(void* data, size_t bytes, size_t block) override {
    const DeviceAccess access;
    HostDevice::handed_out(data, bytes, block);
    std::memset(data, 0xff, bytes);
  }
  void* system_allocate(size_t block) override {
    return memory_is_guarded() ? allocate_guarded(block) : HostDevice::system_allocate(block);
  }
  void system_free(void* data) noexcept override {
    if (memory_is_guarded()) return free_guarded(data);
    HostDevice::system_free(data);
  }

  Executor executor_;
  Stream stream_;
};

}  // namespace sae::simt
