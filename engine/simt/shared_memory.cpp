#include "engine/error.h"
#include "engine/simt/executor_state.h"

namespace sae::simt {
namespace {

constexpr size_t red_zone = 64;  // bytes around a shared array
constexpr size_t max_arrays = 64;
constexpr size_t arena_bytes = max_shared_bytes + (max_arrays + 2) * 2 * red_zone;
constexpr uint64_t not_a_number = ~uint64_t{0};
constexpr uint64_t red_zone_word = 0xfdfdfdfdfdfdfdfd;

/// Not memset, which a thread sanitizer would take for a lane's.
void fill(char* begin, size_t bytes, uint64_t word) {
  auto* words = reinterpret_cast<volatile uint64_t*>(begin);
  for (size_t i = 0; i < bytes / 8; ++i) words[i] = word;
}

size_t padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

SharedMemory::SharedMemory() : arena_(arena_bytes) { arrays_.reserve(max_arrays); }

void SharedMemory::renew() {
  arena_.renew(used_);
#if defined(SIMT_ASAN)
  __asan_poison_memory_region(arena_.begin(), arena_.bytes());
#endif
  used_ = 0;
  arrays_.clear();
}

char* SharedMemory::find(const void* key) const {
  for (const SharedArray& array : arrays_) {
    if (array.key == key) return array.begin;
  }
  return nullptr;
}

char* SharedMemory::add(const void* key, size_t bytes, const Site& site) {
  const size_t size = padded(bytes);
  if (arrays_.size() == max_arrays || used_ + size + 2 * red_zone > arena_bytes) return nullptr;
  char* const zone = arena_.begin() + (used_ + 63) / 64 * 64;
  char* const begin = zone + red_zone;
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(zone, size + 2 * red_zone);
#endif
  fill(zone, red_zone, red_zone_word);
  fill(begin, size, not_a_number);
  fill(begin + size, red_zone, red_zone_word);
  used_ = static_cast<size_t>(begin + size + red_zone - arena_.begin());
#if defined(SIMT_ASAN)
  __asan_poison_memory_region(zone, red_zone);
  __asan_poison_memory_region(begin + bytes, size - bytes + red_zone);
#endif
  arrays_.push_back({key, begin, bytes, site});
  return begin;
}

std::string SharedMemory::damage() {
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(arena_.begin(), used_);
#endif
  for (const SharedArray& array : arrays_) {
    const auto* before = reinterpret_cast<const uint64_t*>(array.begin - red_zone);
    const auto* after = reinterpret_cast<const uint64_t*>(array.begin + padded(array.bytes));
    for (size_t i = 0; i < red_zone / 8; ++i) {
      if (before[i] == red_zone_word && after[i] == red_zone_word) continue;
      return fmt::format("simt: {}:{}: something was written next to this shared array of {} bytes [block {},{},{}]",
                         base_name(array.site.file), array.site.line, array.bytes, blockIdx.x, blockIdx.y, blockIdx.z);
    }
  }
  return "";
}

char* Executor::State::add_shared(const void* key, size_t bytes, const Site& site) {
  char* const array = shared.add(key, bytes, site);
  if (array == nullptr) {
    fail_at(site,
            fmt::format("more shared memory than a block has, {} bytes in {} arrays", max_shared_bytes, max_arrays));
  }
  return array;
}

void* shared_array(const void* key, size_t bytes, Site at) {
  Executor::State& state = *running;
  if (char* const known = state.shared.find(key)) return known;
  state.static_shared += bytes;
  if (state.static_shared > max_static_shared_bytes) {
    state.fail_at(at, fmt::format("SIMT_SHARED arrays of {} bytes in all; a block may have {}, more only as the shared "
                                  "memory of its launch",
                                  state.static_shared, max_static_shared_bytes));
  }
  return state.add_shared(key, bytes, at);
}

void* dynamic_shared_array() { return running->dynamic_array; }

}  // namespace sae::simt
