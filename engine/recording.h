#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "engine/device.h"

namespace sae {

/// Launches that are done again and again.
class Recording {
 public:
  virtual ~Recording() = default;
  /// All of them once more, in the order of the device's stream; waits for nothing.
  virtual void run() = 0;
};

/// Records what `work` launches, without doing it. cuda: a CUDA graph, which the host launches as one; cpu and simt:
/// run() calls `work` again. `work` has run before (so that libraries are loaded and plans made), waits for nothing,
/// copies nothing from or to the host, and launches the same in the same memory each time: what changes from run to run
/// it reads from memory of the device. What it allocates and gives back meanwhile is the recording's as long as it
/// lives.
std::unique_ptr<Recording> record(Device& device, std::function<void()> work);

/// Data of the host on their way to a device while that works on what came before.
class Upload {
 public:
  virtual ~Upload() = default;
  /// `from` is free again at return. cuda: by way of memory that the GPU may read itself, on a stream of its own. Waits
  /// only for the data that were started before the last ones.
  virtual void start(const void* from, size_t bytes) = 0;
  /// Puts what was started to `to`, in the order of the device's stream; waits for nothing.
  virtual void finish(void* to) = 0;
};

/// For at most `bytes` at a time.
std::unique_ptr<Upload> open_upload(Device& device, size_t bytes);

}  // namespace sae
