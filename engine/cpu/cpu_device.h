#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "engine/device.h"

namespace sae {

/// The processor, with a caching allocator: a training step asks for the same sizes again and again, and fresh pages
/// from the system cost more than the arithmetic on them. Sizes are rounded up to a quarter of a power of two, so that
/// at most a fifth of a block is unused; a freed block serves the next request of its size class.
class CpuDevice final : public Device {
 public:
  CpuDevice() : Device(DeviceKind::cpu) {}
  ~CpuDevice() override;

  std::shared_ptr<Buffer> allocate(size_t bytes) override;
  MemoryReport memory() const override;
  void release_cache() override;
  void synchronize() override {}

 private:
  void recycle(void* data, size_t bytes) noexcept override;

  mutable std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_blocks_;  // by size class
  MemoryReport report_;
};

/// The block size that serves a request: 64 bytes at least, else a multiple of a quarter of its power of two.
size_t size_class(size_t bytes);

}  // namespace sae
