#include "engine/simt/memory_guard.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#ifdef __linux__
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace sae::simt {

#ifdef __linux__

namespace {

/// The blocks, and how many DeviceAccess there are.
struct Guard {
  std::mutex mutex;
  std::map<char*, size_t> blocks;
  int64_t accesses = 0;

  void protect(int how) {
    for (const auto& [data, bytes] : blocks) mprotect(data, bytes, how);
  }
  bool holds(const void* address) const {
    const auto* at = static_cast<const char*>(address);
    for (const auto& [data, bytes] : blocks) {
      if (data <= at && at < data + bytes) return true;
    }
    return false;
  }
};

Guard& guard() {
  static auto* const all = new Guard;  // never destroyed: devices may outlive statics
  return *all;
}

void explain_fault(int signal, siginfo_t* fault, void*) {
  constexpr char message[] =
      "simt: the host touched memory of the device, which on a GPU it cannot: copy it with to_vector() or to(host)\n";
  // Without the lock: whoever holds it does not fault.
  if (guard().holds(fault->si_addr)) [[maybe_unused]]
    const auto written = write(2, message, sizeof message - 1);
  ::signal(signal, SIG_DFL);
  raise(signal);
}

bool switch_on() {
  const char* wanted = std::getenv("SAE_SIMT_GUARD");
  if (wanted == nullptr || std::strcmp(wanted, "1") != 0) return false;
  struct sigaction action = {};
  action.sa_sigaction = explain_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  return true;
}

}  // namespace

bool memory_is_guarded() {
  static const bool on = switch_on();
  return on;
}

void* allocate_guarded(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t whole = (bytes + page - 1) / page * page;
  Guard& all = guard();
  const std::lock_guard lock(all.mutex);
  void* data =
      mmap(nullptr, whole, all.accesses > 0 ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  all.blocks.emplace(static_cast<char*>(data), whole);
  return data;
}

void free_guarded(void* data) noexcept {
  Guard& all = guard();
  const std::lock_guard lock(all.mutex);
  const auto block = all.blocks.find(static_cast<char*>(data));
  if (block == all.blocks.end()) return;
  munmap(data, block->second);
  all.blocks.erase(block);
}

void DeviceAccess::allow() {
  Guard& all = guard();
  const std::lock_guard lock(all.mutex);
  if (all.accesses++ == 0) all.protect(PROT_READ | PROT_WRITE);
}

void DeviceAccess::forbid() {
  Guard& all = guard();
  const std::lock_guard lock(all.mutex);
  if (--all.accesses == 0) all.protect(PROT_NONE);
}

#else

bool memory_is_guarded() { return false; }
void* allocate_guarded(size_t) { return nullptr; }
void free_guarded(void*) noexcept {}
void DeviceAccess::allow() {}
void DeviceAccess::forbid() {}

#endif

}  // namespace sae::simt
