#include "engine/device.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/host_device.h"
#include "engine/simt/simt_device.h"
#if defined(SAE_CUDA)
#include "engine/cuda/cuda_device.h"
#endif

namespace sae {

std::string_view name_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::simt:
      return "simt";
    case DeviceKind::cuda:
      return "cuda";
  }
  fail("device: unknown kind {}", static_cast<int>(kind));
}

DeviceKind parse_device_kind(std::string_view text) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::simt, DeviceKind::cuda}) {
    if (text == name_of(kind)) return kind;
  }
  fail("device: expected cpu, simt or cuda, got '{}'", text);
}

std::string MemoryReport::to_string() const {
  constexpr double mib = 1024.0 * 1024.0;
  return fmt::format("live {:.1f} MiB, peak {:.1f} MiB, cached {:.1f} MiB, {} of {} requests reused",
                     static_cast<double>(live) / mib, static_cast<double>(peak) / mib,
                     static_cast<double>(cached) / mib, reused, requests);
}

Buffer::~Buffer() { device_.recycle(data_, bytes_); }

std::unique_ptr<Device> Device::open(DeviceKind kind, int index) {
  CHECK(index == 0 || kind == DeviceKind::cuda, "device: {} has only index 0, got {}", name_of(kind), index);
  switch (kind) {
    case DeviceKind::cpu:
      return std::make_unique<HostDevice>(DeviceKind::cpu);
    case DeviceKind::simt:
      return std::make_unique<simt::SimtDevice>();
    case DeviceKind::cuda:
#if defined(SAE_CUDA)
      return cuda::open_device(index);
#else
      break;
#endif
  }
  fail("device: this build has no '{}' device, since it found no nvcc; it has: cpu, simt", name_of(kind));
}

void refuse_device(std::string_view op, DeviceKind kind) { fail("{}: no kernel for device {}", op, name_of(kind)); }

}  // namespace sae
