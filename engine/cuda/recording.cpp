#include "engine/cuda/recording.h"

#include <cuda_runtime_api.h>

#include <cstring>

#include "engine/caching_device.h"
#include "engine/cuda/check.h"
#include "engine/error.h"
#include "engine/stream.h"

namespace sae::cuda {
namespace {

cudaStream_t native(Device& device) { return static_cast<cudaStream_t>(device.stream().handle()); }

class GraphRecording final : public Recording {
 public:
  GraphRecording(CachingDevice& device, const std::function<void()>& work) : device_(device) {
    // While the work is recorded, the device's cache is the recording's own pool: nobody else is handed a block that
    // the graph's kernels will write.
    device_.exchange_cache(blocks_);
    cudaGraph_t graph = nullptr;
    try {
      // Relaxed: the pool begins empty, and memory may be asked for meanwhile.
      check(cudaStreamBeginCapture(native(device), cudaStreamCaptureModeRelaxed), "begin to record");
      work();
      check(cudaStreamEndCapture(native(device), &graph), "end to record");
      check(cudaGraphInstantiate(&executable_, graph, 0), "make a graph of what was recorded");
    } catch (...) {
      if (graph == nullptr) cudaStreamEndCapture(native(device), &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      device_.exchange_cache(blocks_);
      device_.add_to_cache(blocks_);
      throw;
    }
    cudaGraphDestroy(graph);
    device_.exchange_cache(blocks_);
  }

  ~GraphRecording() override {
    cudaStreamSynchronize(native(device_));
    cudaGraphExecDestroy(executable_);
    device_.add_to_cache(blocks_);
  }

  void run() override { check(cudaGraphLaunch(executable_, native(device_)), "launch a graph"); }

 private:
  CachingDevice& device_;
  CachingDevice::Blocks blocks_;
  cudaGraphExec_t executable_ = nullptr;
};

class PinnedUpload final : public Upload {
 public:
  PinnedUpload(Device& device, size_t bytes) : device_(device), staged_(device.allocate(bytes)) {
    check(cudaMallocHost(&pinned_, bytes > 0 ? bytes : 1), "allocate memory of the host that the device reads");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create a stream");
    check(cudaEventCreateWithFlags(&uploaded_, cudaEventDisableTiming), "create an event");
    check(cudaEventCreateWithFlags(&consumed_, cudaEventDisableTiming), "create an event");
  }

  ~PinnedUpload() override {
    cudaStreamSynchronize(stream_);
    cudaStreamSynchronize(native(device_));
    cudaEventDestroy(consumed_);
    cudaEventDestroy(uploaded_);
    cudaStreamDestroy(stream_);
    cudaFreeHost(pinned_);
  }

  void start(const void* from, size_t bytes) override {
    CHECK(bytes <= staged_->bytes(), "upload: {} bytes, there is room for {}", bytes, staged_->bytes());
    check(cudaEventSynchronize(uploaded_), "wait for the previous upload");  // then the host's memory is free
    std::memcpy(pinned_, from, bytes);
    check(cudaStreamWaitEvent(stream_, consumed_, 0), "wait until the device has taken the previous upload");
    check(cudaMemcpyAsync(staged_->data(), pinned_, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
    check(cudaEventRecord(uploaded_, stream_), "record an event");
    started_ = bytes;
  }

  void finish(void* to) override {
    check(cudaStreamWaitEvent(native(device_), uploaded_, 0), "wait for the upload");
    device_.copy(to, staged_->data(), started_);
    check(cudaEventRecord(consumed_, native(device_)), "record an event");
  }

 private:
  Device& device_;
  std::shared_ptr<Buffer> staged_;
  void* pinned_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t uploaded_ = nullptr, consumed_ = nullptr;
  size_t started_ = 0;
};

}  // namespace

std::unique_ptr<Recording> record(Device& device, const std::function<void()>& work) {
  return std::make_unique<GraphRecording>(dynamic_cast<CachingDevice&>(device), work);
}

std::unique_ptr<Upload> open_upload(Device& device, size_t bytes) {
  return std::make_unique<PinnedUpload>(device, bytes);
}

}  // namespace sae::cuda
