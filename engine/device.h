#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sae {

/// cpu: this machine's processor. simt: CUDA sources run by the host compiler. cuda: an NVIDIA GPU.
enum class DeviceKind { cpu, simt, cuda };

std::string_view name_of(DeviceKind kind);
/// Parses "cpu", "simt" or "cuda"; throws, listing the choices, on anything else.
DeviceKind parse_device_kind(std::string_view text);

/// What a device's allocator holds, in bytes.
struct MemoryReport {
  int64_t live = 0;    ///< held by buffers that somebody owns
  int64_t peak = 0;    ///< the largest `live` so far
  int64_t cached = 0;  ///< freed by their owners and kept for the next request
  int64_t requests = 0;
  int64_t reused = 0;  ///< requests served from the cache
  std::string to_string() const;
};

class Device;
class Stream;

/// Raw memory of a device, aligned to 64 bytes, as many bytes as were asked for. Never moves; returns to its device's
/// cache when destroyed.
class Buffer {
 public:
  Buffer(Device& device, void* data, size_t bytes) : device_(device), data_(data), bytes_(bytes) {}
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Device& device() const { return device_; }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Device& device_;
  void* data_;
  size_t bytes_;
};

/// Where tensors live and ops run. Opened in main() and passed through tensors, never global. It must outlive its
/// tensors.
class Device {
 public:
  /// Throws where this build or this machine has no such device, and says why and what to do.
  static std::unique_ptr<Device> open(DeviceKind kind, int index = 0);

  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  DeviceKind kind() const { return kind_; }
  /// At least `bytes` of uninitialised memory. Throws with the request and the report when there is no more.
  virtual std::shared_ptr<Buffer> allocate(size_t bytes) = 0;
  virtual MemoryReport memory() const = 0;
  /// How many bytes may still be asked for, where the device has memory of its own (cuda); else nothing.
  virtual std::optional<int64_t> free_memory() const { return std::nullopt; }
  /// Gives cached memory back to the system.
  virtual void release_cache() = 0;
  /// Where kernels are launched (simt and cuda).
  virtual const Stream& stream() const = 0;
  /// Waits for everything that was launched. Throws what went wrong in it.
  virtual void synchronize() = 0;

  // Between memory of this device and the host's, in the order of the stream; the host's is free again at return.
  virtual void copy_from_host(void* to, const void* from, size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, size_t bytes) = 0;
  // Within the memory of this device, in the order of the stream.
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  virtual void clear(void* data, size_t bytes) = 0;

 protected:
  explicit Device(DeviceKind kind) : kind_(kind) {}

 private:
  friend class Buffer;
  virtual void recycle(void* data, size_t bytes) noexcept = 0;

  DeviceKind kind_;
};

/// Throws for a device whose kernels this op does not have: the last line of an op's dispatch.
[[noreturn]] void refuse_device(std::string_view op, DeviceKind kind);

}  // namespace sae
