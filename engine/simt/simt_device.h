#pragma once

#include <cstring>

#include "engine/host_device.h"
#include "engine/simt/executor.h"

namespace sae::simt {

/// Runs the CUDA sources on this machine's processor, in its memory. New buffers are full of NaNs, so that a kernel
/// that leaves elements out is seen.
class SimtDevice final : public HostDevice {
 public:
  /// `schedule`: the order of lanes and blocks (Executor).
  explicit SimtDevice(uint64_t schedule = 0) : HostDevice(DeviceKind::simt), executor_(schedule), stream_(&executor_) {}

  const Stream& stream() const override { return stream_; }
  const Executor& executor() const { return executor_; }

 private:
  void handed_out(void* data, size_t bytes, size_t block) override {
    HostDevice::handed_out(data, bytes, block);
    std::memset(data, 0xff, bytes);
  }

  Executor executor_;
  Stream stream_;
};

}  // namespace sae::simt
