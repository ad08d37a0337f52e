#include "engine/device.h"

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "engine/caching_device.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

TEST(Device, NamesAndParsing) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::simt, DeviceKind::cuda}) {
    EXPECT_EQ(parse_device_kind(name_of(kind)), kind);
  }
  EXPECT_REFUSED(parse_device_kind("gpu"), "expected cpu, simt or cuda, got 'gpu'");
  EXPECT_REFUSED(parse_device_kind(""), "got ''");
}

TEST(Device, OpensWhatTheMachineHasAndRefusesTheRest) {
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::simt}) {
    const auto device = Device::open(kind);
    EXPECT_EQ(device->kind(), kind);
    device->synchronize();
  }
  EXPECT_REFUSED(Device::open(DeviceKind::cpu, 1), "cpu has only index 0");
  EXPECT_REFUSED(Device::open(DeviceKind::simt, 1), "simt has only index 0");
  EXPECT_REFUSED(refuse_device("some_op", DeviceKind::cuda), "some_op: no kernel for device cuda");
}

// Whatever this machine is, the answer is a device or a sentence that says what is missing and what to do.
TEST(Device, OpensAGpuOrSaysWhyNot) {
  try {
    EXPECT_EQ(Device::open(DeviceKind::cuda)->kind(), DeviceKind::cuda);
    EXPECT_REFUSED(Device::open(DeviceKind::cuda, 1000), "device cuda: index 1000");
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::ContainsRegex("no 'cuda' device, since it found no nvcc; it has|no NVIDIA "
                                                       "driver; install|update the driver|sees no GPU|configure with"));
  }
}

TEST(Device, SizeClassesWasteAtMostAFifth) {
  EXPECT_EQ(size_class(0), 64u);
  EXPECT_EQ(size_class(64), 64u);
  EXPECT_EQ(size_class(65), 128u);
  for (size_t bytes = 1; bytes < (size_t{1} << 40); bytes = bytes * 5 / 4 + 1) {
    const size_t block = size_class(bytes);
    EXPECT_GE(block, bytes);
    EXPECT_EQ(block % 64, 0u);
    EXPECT_EQ(size_class(block), block) << "a block is of its own class";
    if (bytes > 512) {
      EXPECT_LE(block - bytes, block / 5 + 1) << bytes;
    }
  }
  EXPECT_REFUSED(size_class(~size_t{0}), "too large");
}

TEST(Device, CountsAndReusesMemory) {
  const auto device = Device::open(DeviceKind::cpu);
  void* first = nullptr;
  {
    const auto a = device->allocate(1000), b = device->allocate(5000);
    first = a->data();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a->data()) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b->data()) % 64, 0u);
    EXPECT_EQ(a->bytes(), 1000u);
    std::memset(a->data(), 1, a->bytes());
    const MemoryReport report = device->memory();
    EXPECT_EQ(report.live, static_cast<int64_t>(size_class(1000) + size_class(5000)));
    EXPECT_EQ(report.peak, report.live);
    EXPECT_EQ(report.cached, 0);
  }
  const MemoryReport freed = device->memory();
  EXPECT_EQ(freed.live, 0);
  EXPECT_EQ(freed.cached, freed.peak);
  const auto again = device->allocate(990);  // the same size class as 1000
  EXPECT_EQ(again->data(), first);
  const MemoryReport reused = device->memory();
  EXPECT_EQ(reused.requests, 3);
  EXPECT_EQ(reused.reused, 1);
  EXPECT_EQ(reused.peak, freed.peak);
  EXPECT_EQ(reused.cached, freed.cached - static_cast<int64_t>(size_class(1000)));
  device->release_cache();
  EXPECT_EQ(device->memory().cached, 0);
  EXPECT_EQ(device->memory().live, static_cast<int64_t>(size_class(1000)));
  EXPECT_NE(device->memory().to_string().find("1 of 3 requests reused"), std::string::npos);
}

TEST(Device, ServesSeveralThreads) {
  const auto device = Device::open(DeviceKind::cpu);
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      for (size_t i = 0; i < 200; ++i) {
        const auto buffer = device->allocate(64 * (i % 7 + 1));
        std::memset(buffer->data(), worker, buffer->bytes());
        const auto* bytes = static_cast<const unsigned char*>(buffer->data());
        for (size_t b = 0; b < buffer->bytes(); ++b) ASSERT_EQ(bytes[b], worker);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(device->memory().live, 0);
  EXPECT_EQ(device->memory().requests, 800);
}

}  // namespace
}  // namespace sae
