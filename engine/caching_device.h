#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "engine/device.h"

namespace sae {

/// A device whose freed memory serves the next request of its size class: a training step asks for the same sizes
/// again and again, and fresh memory from the system costs more than the arithmetic on it. Sizes are rounded up to a
/// quarter of a power of two, so that at most a fifth of a block is unused. On a GPU a block may be handed on while
/// kernels that use it still wait in the stream: those of its next owner wait behind them.
class CachingDevice : public Device {
 public:
  std::shared_ptr<Buffer> allocate(size_t bytes) override;
  MemoryReport memory() const override;
  void release_cache() override;

  /// Free blocks by size class.
  using Blocks = std::map<size_t, std::vector<void*>>;
  /// From now on `blocks` serve and take back requests, and what did so before is in `blocks`.
  void exchange_cache(Blocks& blocks);
  /// Gives the blocks back for anybody's requests.
  void add_to_cache(Blocks& blocks) noexcept;

 protected:
  using Device::Device;

 private:
  /// A block of memory aligned to 64 bytes, or null where there is no more.
  virtual void* system_allocate(size_t block) = 0;
  virtual void system_free(void* data) noexcept = 0;
  /// Ends the text of the error that there is no more memory: what else is known.
  virtual std::string memory_of_system() const { return ""; }
  /// A block goes to an owner that asked for `bytes` of it, or comes back.
  virtual void handed_out(void* data, size_t bytes, size_t block) = 0;
  virtual void taken_back(void* data, size_t block) noexcept = 0;
  void recycle(void* data, size_t bytes) noexcept override;

  mutable std::mutex mutex_;
  Blocks free_blocks_;
  MemoryReport report_;
};

/// The block size that serves a request: 64 bytes at least, else a multiple of a quarter of its power of two.
size_t size_class(size_t bytes);

}  // namespace sae
