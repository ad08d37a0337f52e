#include "engine/caching_device.h"

#include <algorithm>
#include <bit>
#include <new>

#include "engine/error.h"

namespace sae {
namespace {

constexpr size_t alignment = 64;  // a cache line, and a whole AVX-512 register

}  // namespace

size_t size_class(size_t bytes) {
  if (bytes <= alignment) return alignment;
  CHECK(bytes <= (size_t{1} << 62), "device: a request of {} bytes is too large", bytes);
  const size_t step = std::max(alignment, std::bit_ceil(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

std::shared_ptr<Buffer> CachingDevice::allocate(size_t bytes) {
  const size_t block = size_class(bytes);
  void* data = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    ++report_.requests;
    auto& blocks = free_blocks_[block];
    if (!blocks.empty()) {
      data = blocks.back();
      blocks.pop_back();
      ++report_.reused;
      report_.cached -= static_cast<int64_t>(block);
    }
  }
  if (data == nullptr) data = system_allocate(block);
  if (data == nullptr) {
    release_cache();
    data = system_allocate(block);
  }
  CHECK(data != nullptr, "device {}: no memory for {} bytes ({}{}); use a smaller batch or fewer latents",
        name_of(kind()), bytes, memory().to_string(), memory_of_system());
  {
    const std::scoped_lock lock(mutex_);
    report_.live += static_cast<int64_t>(block);
    report_.peak = std::max(report_.peak, report_.live);
  }
  handed_out(data, bytes, block);
  return std::make_shared<Buffer>(*this, data, bytes);
}

MemoryReport CachingDevice::memory() const {
  const std::scoped_lock lock(mutex_);
  return report_;
}

void CachingDevice::release_cache() {
  const std::scoped_lock lock(mutex_);
  for (auto& [block, pointers] : free_blocks_) {
    for (void* pointer : pointers) system_free(pointer);
    report_.cached -= static_cast<int64_t>(block * pointers.size());
    pointers.clear();
  }
}

void CachingDevice::exchange_cache(Blocks& blocks) {
  const std::scoped_lock lock(mutex_);
  std::swap(free_blocks_, blocks);
}

void CachingDevice::add_to_cache(Blocks& blocks) noexcept {
  const std::scoped_lock lock(mutex_);
  for (auto& [block, pointers] : blocks) {
    for (void* pointer : pointers) {
      try {
        free_blocks_[block].push_back(pointer);
      } catch (const std::bad_alloc&) {
        report_.cached -= static_cast<int64_t>(block);
        system_free(pointer);
      }
    }
  }
  blocks.clear();
}

void CachingDevice::recycle(void* data, size_t bytes) noexcept {
  const size_t block = size_class(bytes);
  taken_back(data, block);
  const std::scoped_lock lock(mutex_);
  report_.live -= static_cast<int64_t>(block);
  try {
    free_blocks_[block].push_back(data);
    report_.cached += static_cast<int64_t>(block);
  } catch (const std::bad_alloc&) {
    system_free(data);  // no room to remember the block: give it back instead
  }
}

}  // namespace sae
