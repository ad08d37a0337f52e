#include "ops/matmul/packed_matrix.h"

#include <algorithm>
#include <cstring>

#include "engine/parallel.h"
#include "tests/ops/matmul_test.h"

namespace sae {
namespace {

using namespace sae::testing;

class PackedProducts : public MatmulTest<DeviceTest> {};
INSTANTIATE_TEST_SUITE_P(Devices, PackedProducts, every_device, device_name);
class PackedProductsOnCpu : public MatmulTest<CpuTest> {};

TEST_P(PackedProducts, AgreeWithTheDenseOne) {
  const int64_t inputs = 96, outputs = 130;
  const Tensor w = random({outputs, inputs}, 1);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const PackedMatrix packed = PackedMatrix::pack(w, precision);
    EXPECT_EQ(packed.outputs(), outputs);
    EXPECT_EQ(packed.inputs(), inputs);
    EXPECT_GE(packed.bytes(), outputs * inputs * size_of(packed.input_dtype()));
    const bool bf16 = packed.input_dtype() == Dtype::bf16;
    EXPECT_FALSE(bf16 && precision == Precision::f32);
    for (const int64_t rows : {0, 1, 77, 1024, 1500}) {
      const Tensor a = random({rows, inputs}, 2);
      const std::vector<double> expected =
          bf16 ? naive(a.to(Dtype::bf16), false, w.to(Dtype::bf16), true) : naive(a, false, w, true);
      const Tensor y = packed.product(a);
      ASSERT_EQ(y.shape(), Shape({rows, outputs}));
      EXPECT_LT(worst_difference(to_double(y), expected), 2e-6) << rows;
      EXPECT_LT(worst_difference(to_double(y), to_double(dense_product(a, false, w, true, precision))), 2e-6);
      // A factor that comes rounded already gives the same bits; an output may be rounded.
      EXPECT_EQ(packed.product(a.to(packed.input_dtype())).to_vector<float>(), y.to_vector<float>());
      const Tensor narrow = packed.product(a, Dtype::bf16);
      EXPECT_EQ(narrow.dtype(), Dtype::bf16);
      EXPECT_LT(worst_difference(to_double(narrow), expected), 0x1p-8);
      // Added to something.
      const Tensor start = random({rows, outputs}, 3);
      Writable sum = start.clone().into_writable();
      packed.add_product(a, sum);
      std::vector<double> added = to_double(start);
      for (size_t i = 0; i < added.size(); ++i) added[i] += expected[i];
      EXPECT_LT(worst_difference(to_double(std::move(sum).freeze()), added), 2e-6) << rows;
    }
  }
}

TEST_P(PackedProducts, AddTheBias) {
  // sums of products of small whole numbers are exact in any order
  const Tensor w = f32({3, 2}, {1, 2, 3, 4, 5, 6}), bias = f32({3}, {10, -20, 30});
  const Tensor a = f32({2, 2}, {1, 1, 2, -1});
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    for (const Dtype stored : {Dtype::f32, Dtype::bf16}) {
      const PackedMatrix packed = PackedMatrix::pack(w.to(stored), precision, bias);
      EXPECT_THAT(packed.product(a).to_vector<float>(), ::testing::ElementsAre(13, -13, 41, 10, -18, 34));
      EXPECT_THAT(packed.product(a, Dtype::bf16).to(Dtype::f32).to_vector<float>(),
                  ::testing::ElementsAre(13, -13, 41, 10, -18, 34));
      Writable sum = f32({2, 3}, {1, 2, 3, 4, 5, 6}).into_writable();
      packed.add_product(a, sum);
      EXPECT_THAT(std::move(sum).freeze().to_vector<float>(), ::testing::ElementsAre(14, -11, 44, 14, -13, 40));
    }
  }
}

TEST_P(PackedProducts, WeightsThatAreBfloat16AlreadyPackToTheSameBits) {
  const Tensor w = random({130, 96}, 1), a = random({64, 96}, 2);
  EXPECT_EQ(PackedMatrix::pack(w.to(Dtype::bf16), Precision::bf16).product(a).to_vector<float>(),
            PackedMatrix::pack(w, Precision::bf16).product(a).to_vector<float>());
}

TEST_P(PackedProducts, WeightsPackedInStripsHaveTheSameBits) {
  const int64_t outputs = 1155, inputs = 2048;  // several strips, the last one shorter and no whole panel
  const Tensor w = random({outputs, inputs}, 1), a = random({3, inputs}, 2), bias = random({outputs}, 3);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const Tensor stored = w.to(PackedMatrix::packed_dtype(device_, precision));
    const std::vector<float> bias_values = bias.to_vector<float>();
    std::vector<std::byte> bytes(static_cast<size_t>(stored.bytes()));
    device_.copy_to_host(bytes.data(), stored.raw(), bytes.size());
    const size_t row = bytes.size() / outputs;
    int strips = 0;
    const auto write = [&](int64_t begin, int64_t end, void* to) {
      std::copy(bytes.begin() + begin * static_cast<int64_t>(row), bytes.begin() + end * static_cast<int64_t>(row),
                static_cast<std::byte*>(to));
      ++strips;
    };
    const PackedMatrix packed = PackedMatrix::pack(device_, outputs, inputs, precision, write, bias);
    EXPECT_GT(strips, 1);
    EXPECT_EQ(packed.product(a).to_vector<float>(),
              PackedMatrix::pack(w, precision, bias).product(a).to_vector<float>());
  }
}

TEST_F(PackedProductsOnCpu, WeightsPackedInStripsStandInMemoryOnce) {
  const auto device = Device::open(DeviceKind::cpu);
  const int64_t outputs = 8192, inputs = 1024;
  const auto write = [&](int64_t begin, int64_t end, void* to) {
    std::memset(to, 0, static_cast<size_t>((end - begin) * inputs) * sizeof(float));
  };
  const PackedMatrix packed = PackedMatrix::pack(*device, outputs, inputs, Precision::f32, write);
  EXPECT_LT(device->memory().peak, packed.bytes() + packed.bytes() / 4);
}

TEST_F(PackedProductsOnCpu, ARowHasTheSameBitsAloneAndInABatch) {
  const Tensor w = random({130, 96}, 1), a = random({64, 96}, 2);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const PackedMatrix packed = PackedMatrix::pack(w, precision);
    const std::vector<float> batch = packed.product(a).to_vector<float>();
    for (const int64_t row : {0, 17, 63}) {
      const std::vector<float> alone = packed.product(a.slice_rows(row, row + 1)).to_vector<float>();
      EXPECT_EQ(alone, std::vector<float>(batch.begin() + row * 130, batch.begin() + (row + 1) * 130));
    }
  }
}

TEST_F(PackedProductsOnCpu, SameBitsWithOneAndTwoThreads) {
  const Tensor a = random({300, 128}, 1), w = random({513, 128}, 2);
  const PackedMatrix packed = PackedMatrix::pack(w, Precision::bf16);
  const auto run = [&](int workers) {
    const int before = threads();
    set_threads(workers);
    const std::vector<float> result = packed.product(a).to_vector<float>();
    set_threads(before);
    return result;
  };
  EXPECT_EQ(run(1), run(2));
}

TEST_F(PackedProductsOnCpu, Refusals) {
  const Tensor a = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_REFUSED(PackedMatrix::pack(a.to(Dtype::f64), Precision::f32), "packed matrix: expected f32 or bf16 weights");
  EXPECT_REFUSED(PackedMatrix::pack(a, Precision::f32, f32({3}, {1, 2, 3})), "packed matrix: a bias f32 [3]");
  const PackedMatrix packed = PackedMatrix::pack(a, Precision::f32);
  EXPECT_REFUSED(packed.product(f32({1, 2}, {1, 2})), "packed matrix: f32 [1, 2] times a [2, 3] weight");
  Writable sum = Tensor::empty(device_, {1, 3}, Dtype::f32);
  EXPECT_REFUSED(packed.add_product(f32({1, 3}, {1, 2, 3}), sum), "packed matrix");
}

}  // namespace
}  // namespace sae
