#include "engine/cuda/cuda_device.h"

#include <fmt/format.h>

#include "engine/caching_device.h"
#include "engine/cuda/check.h"
#include "engine/cuda/probe.h"
#include "engine/error.h"
#include "engine/stream.h"

namespace sae::cuda {
namespace {

class CudaDevice final : public CachingDevice {
 public:
  explicit CudaDevice(int index) : CachingDevice(DeviceKind::cuda), index_(index) {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "create a stream");
    stream_ = Stream(stream);
  }

  ~CudaDevice() override {
    cudaStreamSynchronize(native());
    stream_.library_state().reset();
    CachingDevice::release_cache();
    cudaStreamDestroy(native());
  }

  const Stream& stream() const override { return stream_; }

  void synchronize() override { check(cudaStreamSynchronize(native()), "wait for the device"); }

  std::optional<int64_t> free_memory() const override {
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "ask for free memory");
    return static_cast<int64_t>(free) + memory().cached;
  }

  void copy_from_host(void* to, const void* from, size_t bytes) override {
    if (bytes == 0) return;
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, native()), "copy to the device");
    synchronize();  // the caller may overwrite or free `from` as soon as this returns
  }

  void copy_to_host(void* to, const void* from, size_t bytes) override {
    if (bytes == 0) return;
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, native()), "copy from the device");
    synchronize();
  }

  void copy(void* to, const void* from, size_t bytes) override {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, native()), "copy on the device");
  }

  void clear(void* data, size_t bytes) override {
    if (bytes > 0) check(cudaMemsetAsync(data, 0, bytes, native()), "clear memory of the device");
  }

 private:
  cudaStream_t native() const { return static_cast<cudaStream_t>(stream_.handle()); }

  void* system_allocate(size_t block) override {
    // The runtime's current device belongs to the thread of the operating system that calls, whichever it is.
    check(cudaSetDevice(index_), "select the device");
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, block);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // or the next launch would report it
      return nullptr;
    }
    check(status, "allocate memory of the device");
    return data;
  }

  void system_free(void* data) noexcept override { cudaFree(data); }

  std::string memory_of_system() const override {
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) return "";
    constexpr double mib = 1024.0 * 1024.0;
    return fmt::format("; {:.0f} of the device's {:.0f} MiB are free", static_cast<double>(free) / mib,
                       static_cast<double>(total) / mib);
  }

  void handed_out(void*, size_t, size_t) override {}
  void taken_back(void*, size_t) noexcept override {}

  int index_;
  Stream stream_{nullptr};
};

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

}  // namespace

std::unique_ptr<Device> open_device(int index) {
  int driver = 0, runtime = 0, count = 0;
  check(cudaRuntimeGetVersion(&runtime), "ask for the runtime's version");
  check(cudaDriverGetVersion(&driver), "ask for the driver's version");
  CHECK(driver > 0, "device cuda: this machine has no NVIDIA driver; install one, or use --device cpu");
  const cudaError_t found = cudaGetDeviceCount(&count);
  CHECK(found != cudaErrorInsufficientDriver,
        "device cuda: the driver is for CUDA {}, this program needs {}; update the driver, or build with an older "
        "toolkit",
        version(driver), version(runtime));
  CHECK(found != cudaErrorNoDevice && count > 0,
        "device cuda: the driver sees no GPU (is CUDA_VISIBLE_DEVICES set?); use --device cpu");
  check(found, "count the devices");
  CHECK(index >= 0 && index < count, "device cuda: index {}, but there are {} GPUs, counted from 0", index, count);
  check(cudaSetDevice(index), "select the device");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "ask for the device's properties");
  CHECK(probe_kernel() != cudaErrorNoKernelImageForDevice,
        "device cuda: {} is of architecture sm_{}{}, this program was compiled for {}; configure with "
        "-DSAE_CUDA_ARCHITECTURES={}{}",
        properties.name, properties.major, properties.minor, SAE_CUDA_ARCHITECTURES, properties.major,
        properties.minor);
  return std::make_unique<CudaDevice>(index);
}

}  // namespace sae::cuda
