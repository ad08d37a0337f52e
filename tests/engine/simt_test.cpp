#include "engine/simt.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "engine/simt/simt_device.h"
#include "tests/engine/simt_kernels.h"
#include "tests/support/tensors.h"

namespace sae::simt {
namespace {

constexpr uint64_t schedules[] = {0, 1, 2, 3, 12345};

/// A stream whose kernels run under one schedule.
struct Fixture {
  explicit Fixture(uint64_t schedule = 0) : device(schedule) {}
  SimtDevice device;
  const Stream& stream = device.stream();
};

TEST(Simt, RightKernelsAreRightUnderEverySchedule) {
  for (const uint64_t schedule : schedules) {
    const Fixture f(schedule);
    constexpr int64_t rows = 7, cols = 301;
    std::vector<double> x(rows * cols), sums(rows), expected(rows);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i % 97) - 40;
    for (size_t row = 0; row < rows; ++row) {
      expected[row] = std::accumulate(&x[row * cols], &x[row * cols] + cols, 0.0);
    }
    launch(f.stream, row_sum<double>, rows, 96, 0, x.data(), sums.data(), cols);
    EXPECT_EQ(sums, expected) << "schedule " << schedule;

    std::vector<int> ones(200, 1), counted(200), numbers(200);
    launch(f.stream, prefix_sum, 1, 200, 200 * sizeof(int), ones.data(), counted.data());
    std::iota(numbers.begin(), numbers.end(), 1);
    EXPECT_EQ(counted, numbers) << "schedule " << schedule;
  }
}

TEST(Simt, EveryThreadOfEveryBlockRunsOnce) {
  for (const uint64_t schedule : schedules) {
    const Fixture f(schedule);
    int counter = 0;
    launch(f.stream, count_threads, dim3(3, 2, 2), dim3(5, 3, 2), 0, &counter);
    EXPECT_EQ(counter, 12 * 30);
    launch(f.stream, count_threads, 0, 32, 0, &counter);
    EXPECT_EQ(counter, 12 * 30) << "an empty grid is no launch";
  }
}

// Lanes that never wait share a fiber: a kernel without barriers costs one switch for a block.
TEST(Simt, ALaneGetsAFiberOfItsOwnOnlyWhenOneWaits) {
  const Fixture f;
  int counter = 0;
  launch(f.stream, count_threads, 10, 256, 0, &counter);
#if !defined(__SANITIZE_THREAD__)
  EXPECT_EQ(f.device.executor().switches(), 10);
#endif
}

TEST(Simt, SeveralThreadsMayLaunch) {
  const Fixture f;
  std::vector<std::thread> hosts;
  std::vector<int> counters(4);
  for (int& counter : counters) {
    hosts.emplace_back([&] {
      for (int i = 0; i < 20; ++i) launch(f.stream, count_threads, 2, 32, 0, &counter);
    });
  }
  for (std::thread& host : hosts) host.join();
  EXPECT_EQ(counters, (std::vector<int>(4, 20 * 64)));
}

TEST(Simt, NewBuffersAreFullOfNaNs) {
  SimtDevice device;
  const auto buffer = device.allocate(40);
  float values[10] = {};
  device.copy_to_host(values, buffer->data(), sizeof values);
  for (const float value : values) EXPECT_TRUE(std::isnan(value));
}

TEST(SimtDeathTest, TheHostMayNotTouchItsMemory) {
  if (!memory_is_guarded()) GTEST_SKIP() << "set SAE_SIMT_GUARD=1, as ctest does";
  SimtDevice device;
  const auto buffer = device.allocate(40);
  auto* const value = static_cast<volatile float*>(buffer->data());
  EXPECT_DEATH(*value = 1, "simt: the host touched memory of the device");
  EXPECT_DEATH(static_cast<void>(float{*value}), "simt: the host touched memory of the device");
  const DeviceAccess access;
  *value = 1;
  EXPECT_EQ(*value, 1.0f);
}

// --- mistakes that a plain build notices; simt_bugs.cpp shows those that need a sanitizer ---------------------------

TEST(Simt, AMissingBarrierReadsNaNsAndDependsOnTheSchedule) {
  std::vector<float> first(64), second(64);
  launch(Fixture(0).stream, missing_barrier, 1, 64, 0, first.data());
  launch(Fixture(1).stream, missing_barrier, 1, 64, 0, second.data());
  const auto nans = [](const std::vector<float>& v) {
    return std::count_if(v.begin(), v.end(), [](float x) { return std::isnan(x); });
  };
  EXPECT_EQ(nans(first), 32);
  EXPECT_GT(nans(second), 0);
  EXPECT_NE(std::memcmp(first.data(), second.data(), 64 * sizeof(float)), 0);
}

TEST(Simt, UninitialisedSharedMemoryIsNaN) {
  float sum = 0;
  launch(Fixture().stream, uninitialised_shared, 1, 32, 0, &sum);
  EXPECT_TRUE(std::isnan(sum));
}

TEST(Simt, DivergenceAndDeadlocksAreReportedWithTheirLines) {
  const Fixture f;
  std::vector<float> out(64);
  const auto run = [&](void (*kernel)(float*), unsigned threads) {
    launch(f.stream, kernel, 1, threads, 0, out.data());
  };
  EXPECT_REFUSED(run(divergent_barrier, 64), "simt_kernels.h:");
  EXPECT_REFUSED(run(divergent_barrier, 64), "divergent __syncthreads");
  EXPECT_REFUSED(run(half_warp_shuffles_for_all, 32), "simt_kernels.h:");
  EXPECT_REFUSED(run(barrier_meets_shuffle, 32), "deadlock: from thread 0 at simt_kernels.h:");
  EXPECT_REFUSED(run(two_collectives_meet, 32), "divergent collective");
  EXPECT_REFUSED(run(lane_outside_its_mask, 32), "calls a collective with the mask 0xffff, which does not name it");
  EXPECT_REFUSED(run(shuffle_from_outside_the_mask, 32), "a shuffle reads lane 20");
  // After an error the device works on.
  int counter = 0;
  launch(f.stream, count_threads, 2, 64, 0, &counter);
  EXPECT_EQ(counter, 128);
}

#if !defined(__SANITIZE_ADDRESS__)  // which stops at the write itself
TEST(Simt, WritesNextToASharedArrayAreReported) {
  std::vector<float> out(32);
  EXPECT_REFUSED(launch(Fixture().stream, shared_overrun, 1, 32, 0, out.data()),
                 "something was written next to this shared array of 128 bytes");
}
#endif

TEST(Simt, LimitsOfTheHardware) {
  const Fixture f;
  std::vector<float> out(32);
  int counter = 0;
  EXPECT_REFUSED(launch(f.stream, count_threads, 1, 1025, 0, &counter), "a block of 1025 x 1 x 1 threads");
  EXPECT_REFUSED(launch(f.stream, count_threads, 1, dim3(1, 1, 65), 0, &counter), "64 in z");
  EXPECT_REFUSED(launch(f.stream, count_threads, dim3(1, 65536), 1, 0, &counter), "a grid of 1 x 65536 x 1");
  EXPECT_REFUSED(launch(f.stream, count_threads, 1, 32, 228 * 1024, &counter), "bytes of shared memory; a block has");
  EXPECT_REFUSED(launch(f.stream, too_much_static_shared, 1, 32, 0, out.data()), "a block may have 49152");
  EXPECT_EQ(counter, 0);
}

}  // namespace
}  // namespace sae::simt
