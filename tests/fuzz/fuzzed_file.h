#pragma once

#include <sanitizer/allocator_interface.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/error.h"

namespace sae::fuzz {

/// A file in memory that holds one input after the other.
class FuzzedFile {
 public:
  FuzzedFile() : descriptor_(::memfd_create("fuzzed", 0)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {}
  const std::string& write(const uint8_t* data, size_t size) const {
    if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, data, size, 0) != static_cast<ssize_t>(size)) {
      std::perror("fuzzed file");
      std::abort();
    }
    return path_;
  }
  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

/// Bytes that are allocated now, and the most that were at once. The sanitizer calls the hooks.
inline size_t live = 0, most = 0;
inline bool counts = false;
inline void on_allocation(const volatile void*, size_t size) {
  if (!counts) return;
  live += size;
  if (live > most) most = live;
}
inline void on_release(const volatile void* pointer) {
  if (!counts || pointer == nullptr) return;
  const size_t size = __sanitizer_get_allocated_size(pointer);
  live -= size < live ? size : live;
}
/// Once, whatever is read: a hook that is installed again is called twice.
inline bool count_allocations() {
  static const bool hooked = __sanitizer_install_malloc_and_free_hooks(on_allocation, on_release) != 0;
  return hooked;
}

/// Calls `read`, which may throw Error and nothing else, and may at no time hold more than `factor` times the input
/// and, whatever that is, `fixed` bytes: error texts, compiled patterns, a part of the file as a tree.
template <class Read>
void try_reading(size_t size, size_t factor, size_t fixed, Read&& read) {
  const bool hooked = count_allocations();
  live = most = 0;
  counts = true;
  try {
    read();
  } catch (const Error&) {
  }
  counts = false;
  if (!hooked || most > factor * size + fixed) {
    std::fprintf(stderr, "%zu bytes of input took %zu bytes of memory\n", size, most);
    std::abort();
  }
  if (std::getenv("SAE_FUZZ_REPORT") != nullptr) {
    std::fprintf(stderr, "%zu bytes of input took %.2f times as much, of %zu\n", size,
                 static_cast<double>(most) / static_cast<double>(size), factor);
  }
}

}  // namespace sae::fuzz
