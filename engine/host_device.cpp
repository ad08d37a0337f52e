#include "engine/host_device.h"

#include <cstdlib>
#include <cstring>

#ifdef __linux__
#include <sys/mman.h>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SAE_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SAE_ASAN
#endif
#if defined(SAE_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace sae {
namespace {

void forbid([[maybe_unused]] void* data, [[maybe_unused]] size_t bytes) {
#if defined(SAE_ASAN)
  __asan_poison_memory_region(data, bytes);
#endif
}

void allow([[maybe_unused]] void* data, [[maybe_unused]] size_t bytes) {
#if defined(SAE_ASAN)
  __asan_unpoison_memory_region(data, bytes);
#endif
}

}  // namespace

HostDevice::~HostDevice() { CachingDevice::release_cache(); }

/// Large blocks ask for huge pages: kernels gather rows from all over a weight, and with pages of 4 KB each row costs a
/// walk of the page table.
void* HostDevice::system_allocate(size_t block) {
  constexpr size_t huge_page = size_t{2} << 20;
  if (block < 2 * huge_page) return std::aligned_alloc(64, block);
  void* data = std::aligned_alloc(huge_page, (block + huge_page - 1) / huge_page * huge_page);
#ifdef __linux__
  if (data != nullptr) madvise(data, block / huge_page * huge_page, MADV_HUGEPAGE);  // advice, which may be refused
#endif
  return data;
}

void HostDevice::system_free(void* data) noexcept { std::free(data); }

void HostDevice::handed_out(void* data, size_t bytes, size_t block) {
  allow(data, bytes);
  forbid(static_cast<char*>(data) + bytes, block - bytes);
}

void HostDevice::taken_back(void* data, size_t block) noexcept { forbid(data, block); }

void HostDevice::copy_from_host(void* to, const void* from, size_t bytes) { copy(to, from, bytes); }

void HostDevice::copy_to_host(void* to, const void* from, size_t bytes) { copy(to, from, bytes); }

void HostDevice::copy(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void HostDevice::clear(void* data, size_t bytes) {
  if (bytes > 0) std::memset(data, 0, bytes);
}

}  // namespace sae
