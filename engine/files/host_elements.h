#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace sae {

/// A tensor's elements where the host can read them: in place on the cpu, else copied to `room`.
inline std::span<const std::byte> host_elements(const Tensor& tensor, std::vector<std::byte>& room) {
  const auto bytes = static_cast<size_t>(tensor.bytes());
  if (tensor.device().kind() == DeviceKind::cpu) return {static_cast<const std::byte*>(tensor.raw()), bytes};
  room.resize(bytes);
  tensor.device().copy_to_host(room.data(), tensor.raw(), bytes);
  return room;
}

}  // namespace sae
