#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/simt/simt_device.h"
#include "tests/support/tensors.h"

namespace sae::testing {

/// A test that runs once on each device: TEST_P instead of TEST_F, and after the class
/// INSTANTIATE_TEST_SUITE_P(Devices, MyOp, every_device, device_name). Where this build or machine has no such device,
/// it is skipped and says why. On cuda a tensor's data() is not for the host: read it with to_vector(). SAE_TEST_SCHEDULE
/// is the order of simt's lanes and blocks (Executor), 0 where it is not set.
class DeviceTest : public ::testing::TestWithParam<DeviceKind> {
 protected:
  void SetUp() override {
    if (missing_) GTEST_SKIP() << *missing_;
  }

  Tensor f32(Shape shape, const std::vector<float>& values) { return Tensor::from(device_, shape, values); }
  Tensor f64(Shape shape, const std::vector<double>& values) { return Tensor::from(device_, shape, values); }
  Tensor i32(Shape shape, const std::vector<int32_t>& values) { return Tensor::from(device_, shape, values); }
  Tensor i64(Shape shape, const std::vector<int64_t>& values) { return Tensor::from(device_, shape, values); }

 private:
  std::unique_ptr<Device> open() {
    const char* schedule = std::getenv("SAE_TEST_SCHEDULE");
    if (schedule != nullptr && GetParam() == DeviceKind::simt) {
      return std::make_unique<simt::SimtDevice>(std::stoull(schedule));
    }
    try {
      return Device::open(GetParam());
    } catch (const Error& error) {
      missing_ = error.what();
      return Device::open(DeviceKind::cpu);
    }
  }
  std::optional<std::string> missing_;
  std::unique_ptr<Device> owned_ = open();

 protected:
  Device& device_ = *owned_;
};

inline const auto every_device = ::testing::Values(DeviceKind::cpu, DeviceKind::simt, DeviceKind::cuda);

inline std::string device_name(const ::testing::TestParamInfo<DeviceKind>& info) {
  return std::string(name_of(info.param));
}

/// Multiples of 1/16 of at most 2: float sums of up to 2^15 of their products are exact, so that every order of
/// additions gives the same bits, on every device.
inline Tensor exact_tensor(Device& device, Shape shape, Dtype dtype, uint64_t seed) {
  const Philox random(seed, 2);
  std::vector<double> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(static_cast<int64_t>(random.below(i, 65)) - 32) / 16;
  }
  return Tensor::from(device, shape, values).to(dtype);
}

inline RowSparse exact_row_sparse(Device& device, int64_t rows, int64_t cols, int64_t k, Dtype dtype, uint64_t seed) {
  RowSparse sparse = random_row_sparse(device, rows, cols, k, dtype, seed);
  sparse.values = exact_tensor(device, sparse.values.shape(), dtype, seed);
  return sparse;
}

inline CompressedRows exact_compressed(Device& device, int64_t rows, int64_t cols, Dtype dtype, uint64_t seed) {
  CompressedRows sparse = random_compressed(device, rows, cols, dtype, seed);
  sparse.values = exact_tensor(device, sparse.values.shape(), dtype, seed);
  return sparse;
}

namespace parity {

/// The bytes of a tensor, as text that a failed test can print in part.
inline std::string bytes_of(const Tensor& tensor, Device& host) {
  const Tensor here = tensor.to(host);
  return {static_cast<const char*>(here.raw()), static_cast<size_t>(here.bytes())};
}

inline std::vector<Tensor> tensors_of(const Value& value) {
  return std::visit(overloaded{[](const Tensor& t) { return std::vector<Tensor>{t}; },
                               [](const RowSparse& s) {
                                 return std::vector<Tensor>{s.columns.index(), s.values};
                               },
                               [](const CompressedRows& s) {
                                 return std::vector<Tensor>{s.offsets, s.index, s.values};
                               }},
                    value);
}

}  // namespace parity

/// Calls run(device) on the cpu and on `device`; it makes its inputs itself, from fixed seeds, and returns results as
/// std::vector<Value>. Expects equal layouts, shapes and bits: for ops without division, root or exponential, on exact
/// inputs.
template <class Run>
void expect_equal_bits(Device& device, Run&& run, const std::string& label = "") {
  const auto host = Device::open(DeviceKind::cpu);
  const std::vector<Value> expected = run(*host), actual = run(device);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(describe(actual[i]), describe(expected[i])) << label << ", result " << i;
    const std::vector<Tensor> a = parity::tensors_of(actual[i]), e = parity::tensors_of(expected[i]);
    for (size_t part = 0; part < e.size(); ++part) {
      EXPECT_EQ(a[part].shape(), e[part].shape());
      EXPECT_TRUE(parity::bytes_of(a[part], *host) == parity::bytes_of(e[part], *host))
          << label << ": result " << i << ", " << describe(expected[i]) << ", part " << part << " on "
          << name_of(device.kind()) << " differs from the cpu";
    }
  }
}

/// The same, but the elements may differ by `tolerance` relative to the largest; patterns may not differ.
template <class Run>
void expect_close(Device& device, double tolerance, Run&& run, const std::string& label = "") {
  const auto host = Device::open(DeviceKind::cpu);
  const std::vector<Value> expected = run(*host), actual = run(device);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(describe(actual[i]), describe(expected[i])) << label << ", result " << i;
    EXPECT_LE(worst_difference(to_double(stored_values(actual[i])), to_double(stored_values(expected[i]))), tolerance)
        << label << ": result " << i << ", " << describe(expected[i]) << " on " << name_of(device.kind());
    const std::vector<Tensor> a = parity::tensors_of(actual[i]), e = parity::tensors_of(expected[i]);
    for (size_t part = 0; part + 1 < e.size(); ++part) {
      EXPECT_TRUE(parity::bytes_of(a[part], *host) == parity::bytes_of(e[part], *host)) << label << ", result " << i;
    }
  }
}

/// Calls f(rows, cols) for every pair of edge sizes.
template <class F>
void for_edge_shapes(F&& f) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) f(rows, cols);
  }
}

}  // namespace sae::testing
