#include "engine/files/npy.h"

#include <gmock/gmock.h>

#include "engine/error.h"
#include "tests/support/damage.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string npy(const std::string& header, const std::string& data, int major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(major);
  bytes += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) bytes += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return bytes + header + data;
}

class Npy : public testing::Test {
 protected:
  NpyFile open(const std::string& bytes) const { return NpyFile(folder_.write("x.npy", bytes)); }
  std::string read_all(const std::string& bytes) const {
    const Tensor tensor = open(bytes).read(*device_);
    return tensor.describe() + std::string(static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes()));
  }

  TemporaryFolder folder_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

TEST_F(Npy, ReadsWhatNumpyWrites) {
  const std::string data("\1\0\2\0\3\0\4\0\5\0\6\0", 12);
  // numpy.save of a uint16 array [2, 3], format 1.0; then formats 2.0 and 3.0
  for (const int major : {1, 2, 3}) {
    const Tensor tensor =
        open(npy("{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }            \n", data, major))
            .read(*device_);
    EXPECT_EQ(tensor.describe(), "u16 [2, 3]");
    EXPECT_THAT(tensor.to_vector<uint16_t>(), ElementsAre(1, 2, 3, 4, 5, 6));
  }
  EXPECT_EQ(open(npy("{'descr':'<f4','fortran_order':False,'shape':()}", std::string("\0\0\x80\x3f", 4)))
                .read(*device_)
                .describe(),
            "f32 [1]");
  EXPECT_EQ(open(npy("{'shape': (0, 3), 'fortran_order': False, 'descr': '<f8'}", "")).read(*device_).describe(),
            "f64 [0, 3]");
  // A vector is both row-major and column-major, and NumPy marks some so.
  EXPECT_EQ(open(npy("{'descr': '<u2', 'fortran_order': True, 'shape': (6,), }", data)).shape(), Shape{6});
}

TEST_F(Npy, ReadsHalfPrecisionAsFloat) {
  const NpyFile file =
      open(npy("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 1), }", std::string("\x00\x3c\x00\xc0", 4)));
  EXPECT_EQ(file.dtype(), Dtype::f32);
  EXPECT_THAT(file.read(*device_).to_vector<float>(), ElementsAre(1.0f, -2.0f));
  EXPECT_THAT(file.read_rows(*device_, 1, 2).to_vector<float>(), ElementsAre(-2.0f));
}

TEST_F(Npy, ReadsBackWhatItWrote) {
  const auto check = [&](const Tensor& tensor) {
    write_npy(folder_.path("y.npy"), tensor, IfExists::replace);
    const Tensor read = NpyFile(folder_.path("y.npy")).read(*device_);
    EXPECT_EQ(read.describe(), tensor.describe());
    EXPECT_EQ(std::memcmp(read.raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())), 0);
  };
  check(Tensor::from<float>(*device_, {2, 1, 3}, std::vector<float>{1, 2, 3, 4, 5, 6}));
  check(Tensor::from<double>(*device_, {2}, std::vector<double>{0.1, 0.2}));
  check(Tensor::from<int32_t>(*device_, {1, 1, 1, 1}, std::vector<int32_t>{-7}));
  check(Tensor::from<int64_t>(*device_, {1}, std::vector<int64_t>{INT64_MIN}));
  check(Tensor::from<uint16_t>(*device_, {0, 5}, std::vector<uint16_t>{}));
}

TEST_F(Npy, WritesTheFormatToTheByte) {
  write_npy(folder_.path("y.npy"), Tensor::from<uint16_t>(*device_, {1, 2}, std::vector<uint16_t>{0x4241, 0x4443}),
            IfExists::refuse);
  std::string header = "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 2, ), }";
  header.append(128 - 10 - 1 - header.size(), ' ');
  EXPECT_EQ(folder_.read("y.npy"), npy(header + "\n", "ABCD"));
}

TEST_F(Npy, ReadsRowsAlone) {
  write_npy(folder_.path("y.npy"), Tensor::from<float>(*device_, {3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6}),
            IfExists::refuse);
  const NpyFile file(folder_.path("y.npy"));
  EXPECT_THAT(file.read_rows(*device_, 1, 3).to_vector<float>(), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(file.read_rows(*device_, 3, 3).rows(), 0);
  EXPECT_THROW(file.read_rows(*device_, 2, 4), Error);
  EXPECT_THROW(file.read_rows(*device_, -1, 1), Error);
}

TEST_F(Npy, WriterRefusals) {
  EXPECT_THAT([&] { write_npy(folder_.path("y.npy"), Tensor::zeros(*device_, {1}, Dtype::bf16), IfExists::refuse); },
              ThrowsMessage<Error>(HasSubstr("NumPy has no bf16")));
  folder_.write("y.npy", "old");
  const Tensor large = Tensor::zeros(*device_, {10000}, Dtype::f32);
  EXPECT_THROW(write_npy(folder_.path("y.npy"), large, IfExists::refuse), Error);
  const FileSizeLimit limit(4096);
  EXPECT_THAT([&] { write_npy(folder_.path("y.npy"), large, IfExists::replace); },
              ThrowsMessage<Error>(HasSubstr("y.npy: cannot be written")));
  EXPECT_EQ(folder_.read("y.npy"), "old");
}

TEST_F(Npy, RefusesWhatItCannotRead) {
  struct Case {
    std::string bytes;
    const char* message;
  };
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  const std::string four = "xxxx";
  const Case cases[] = {
      {"PK\3\4 an npz file", "is no .npy file"},
      {npy(good, four, 4), ".npy format 4 is unknown"},
      {npy(good, "xxx"), "it was cut short"},
      {npy(good, "xxxxx"), "something was added"},
      {npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", four), "save it after .astype('<f4')"},
      {npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", four), "dtype '|u1' is not supported"},
      {npy("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }", four), "dtype '|O' is not supported"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", four), "structured dtype"},
      {npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", four), "save numpy.ascontiguousarray of it"},
      {npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", four), "expected 'False'"},
      {npy("{'descr': '<f4', 'fortran_order': False}", four), "lacks descr"},
      {npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", four), "'descr' twice"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", four), "unknown key 'x'"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", four), "expected an extent"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }", four), "expected ')'"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", four), "expected an extent"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", four), "overflow"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000), }", four), "it was cut short"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1), }", four), "at most 4 dimensions"},
      {npy(good + "}", four), "text after the header's end"},
      {npy("{'descr", four), "a quote is not closed"},
      {npy("", four), "expected '{'"},
      {std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12), "the header's length is 4294967295"},
  };
  for (const Case& hostile : cases) {
    EXPECT_THAT([&] { open(hostile.bytes); },
                ThrowsMessage<Error>(AllOf(HasSubstr("x.npy"), HasSubstr(hostile.message))))
        << hostile.message;
  }
}

TEST_F(Npy, RefusesEveryTruncationAndSurvivesRandomEdits) {
  const std::string whole =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", std::string(24, 'x'), 1);
  const ReadAll read = [&](const std::string& bytes) { return read_all(bytes); };
  expect_truncations_refused(read, whole);
  expect_survives_edits(read, whole, 2, 3000);
}

}  // namespace
}  // namespace sae
