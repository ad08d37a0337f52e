#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "engine/error.h"

#if !defined(__x86_64__) && !defined(SIMT_FIBER_UCONTEXT)
#define SIMT_FIBER_UCONTEXT
#endif
#if defined(SIMT_FIBER_UCONTEXT)
#include <ucontext.h>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN
#endif
#if defined(SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// SIMT_TSAN comes from CMake: under ThreadSanitizer the executor itself is compiled without it, so that only what
// kernels read and write is seen.
#if defined(SIMT_TSAN)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace sae::simt {

/// Pages of our own, with one below them that may not be touched: a stack that overflows stops there.
class Pages {
 public:
  explicit Pages(size_t bytes) : guard_(static_cast<size_t>(::sysconf(_SC_PAGESIZE))), bytes_(bytes) {
    void* mapped =
        ::mmap(nullptr, guard_ + bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(mapped != MAP_FAILED, "simt: no memory for {} bytes", bytes_);
    start_ = static_cast<char*>(mapped);
    ::mprotect(start_, guard_, PROT_NONE);
  }
  ~Pages() {
    if (start_ != nullptr) ::munmap(start_, guard_ + bytes_);
  }
  Pages(Pages&& other) noexcept : start_(other.start_), guard_(other.guard_), bytes_(other.bytes_) {
    other.start_ = nullptr;
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  char* begin() const { return start_ + guard_; }
  char* end() const { return begin() + bytes_; }
  size_t bytes() const { return bytes_; }
  /// Forgets the first `bytes`, and with them what a sanitizer remembers of them.
  void renew([[maybe_unused]] size_t bytes) {
#if defined(SIMT_ASAN)
    __asan_unpoison_memory_region(begin(), bytes);
#endif
#if defined(SIMT_TSAN)
    if (bytes > 0)
      ::mmap(begin(), bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
#endif
  }

 private:
  char* start_ = nullptr;
  size_t guard_;
  size_t bytes_;
};

/// A place in a program to continue from: the registers of a fiber, or of the thread that runs the fibers.
struct Context {
#if defined(SIMT_FIBER_UCONTEXT)
  ucontext_t registers;
#else
  void* stack_pointer = nullptr;
#endif
  void* thread_sanitizer = nullptr;  // its name for this fiber
  void* fake_stack = nullptr;        // AddressSanitizer's
  const void* bottom = nullptr;
  size_t bytes = 0;
};

#if !defined(SIMT_FIBER_UCONTEXT)
extern "C" void sae_simt_switch(void** save_stack_pointer, void* load_stack_pointer);
#endif

/// Continues `to`; returns when somebody continues `from`.
inline void switch_context(Context& from, Context& to) {
#if defined(SIMT_ASAN)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.bytes);
#endif
#if defined(SIMT_TSAN)
  __tsan_switch_to_fiber(to.thread_sanitizer, 1);  // 1: a switch orders nothing
#endif
#if defined(SIMT_FIBER_UCONTEXT)
  ::swapcontext(&from.registers, &to.registers);
#else
  sae_simt_switch(&from.stack_pointer, to.stack_pointer);
#endif
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(from.fake_stack, &to.bottom, &to.bytes);  // `to` is who came back
#endif
}

/// Makes `context` one that calls `entry`, which must not return, on that stack.
inline void start_context(Context& context, Pages& stack, void (*entry)()) {
  stack.renew(stack.bytes());
  context.bottom = stack.begin();
  context.bytes = stack.bytes();
  context.fake_stack = nullptr;
#if defined(SIMT_FIBER_UCONTEXT)
  ::getcontext(&context.registers);
  context.registers.uc_stack.ss_sp = stack.begin();
  context.registers.uc_stack.ss_size = stack.bytes();
  context.registers.uc_link = nullptr;
  ::makecontext(&context.registers, entry, 0);
#else
  void** top = reinterpret_cast<void**>(stack.end()) - 2;  // the ABI wants the stack 8 off a multiple of 16 at entry
  top[0] = reinterpret_cast<void*>(entry);
  top[1] = nullptr;
  for (int i = 1; i <= 6; ++i) top[-i] = nullptr;  // the six registers that a switch restores
  context.stack_pointer = top - 6;
#endif
}

}  // namespace sae::simt
