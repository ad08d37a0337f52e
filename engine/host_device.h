#pragma once

#include "engine/caching_device.h"
#include "engine/stream.h"

namespace sae {

/// A device whose memory is this machine's: cpu, and what simt is built on. Under AddressSanitizer a buffer ends where
/// its owner's request ended, and one that was given back may not be touched.
class HostDevice : public CachingDevice {
 public:
  explicit HostDevice(DeviceKind kind) : CachingDevice(kind) {}
  ~HostDevice() override;

  const Stream& stream() const override { return stream_; }
  void synchronize() override {}
  void copy_from_host(void* to, const void* from, size_t bytes) override;
  void copy_to_host(void* to, const void* from, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void clear(void* data, size_t bytes) override;

 protected:
  void handed_out(void* data, size_t bytes, size_t block) override;
  void* system_allocate(size_t block) override;
  void system_free(void* data) noexcept override;

 private:
  void taken_back(void* data, size_t block) noexcept override;

  Stream stream_{nullptr};
};

}  // namespace sae
