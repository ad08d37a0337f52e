#include "engine/recording.h"

#include <cstring>
#include <utility>
#include <vector>

#include "engine/error.h"

#if defined(SAE_CUDA)
#include "engine/cuda/recording.h"
#endif

namespace sae {
namespace {

class CalledAgain final : public Recording {
 public:
  explicit CalledAgain(std::function<void()> work) : work_(std::move(work)) {}
  void run() override { work_(); }

 private:
  std::function<void()> work_;
};

/// In two copies, as on a GPU, so that a caller who forgets to finish is seen.
class HostUpload final : public Upload {
 public:
  HostUpload(Device& device, size_t bytes) : device_(device), staged_(bytes) {}

  void start(const void* from, size_t bytes) override {
    CHECK(bytes <= staged_.size(), "upload: {} bytes, there is room for {}", bytes, staged_.size());
    std::memcpy(staged_.data(), from, bytes);
    started_ = bytes;
  }
  void finish(void* to) override { device_.copy_from_host(to, staged_.data(), started_); }

 private:
  Device& device_;
  std::vector<std::byte> staged_;
  size_t started_ = 0;
};

}  // namespace

std::unique_ptr<Recording> record(Device& device, std::function<void()> work) {
#if defined(SAE_CUDA)
  if (device.kind() == DeviceKind::cuda) return cuda::record(device, work);
#endif
  static_cast<void>(device);
  return std::make_unique<CalledAgain>(std::move(work));
}

std::unique_ptr<Upload> open_upload(Device& device, size_t bytes) {
#if defined(SAE_CUDA)
  if (device.kind() == DeviceKind::cuda) return cuda::open_upload(device, bytes);
#endif
  return std::make_unique<HostUpload>(device, bytes);
}

}  // namespace sae
