#include "engine/files/safetensors.h"

#include <gmock/gmock.h>

#include <cmath>

#include "engine/error.h"
#include "engine/files/half.h"
#include "tests/support/damage.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::string with_length(std::string header, const std::string& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return bytes + header + data;
}

class Safetensors : public testing::Test {
 protected:
  std::string write_example(std::string_view name) const {
    const std::vector<NamedTensor> tensors = {
        {"tokens", Tensor::from<uint16_t>(*device_, {3}, std::vector<uint16_t>{1, 2, 65535})},
        {"weight", Tensor::from<float>(*device_, {2, 2}, std::vector<float>{1, -2, 0.5f, INFINITY})},
        {"offsets", Tensor::from<int64_t>(*device_, {2}, std::vector<int64_t>{0, INT64_MAX})},
        {"half", Tensor::from<bfloat16>(*device_, {1}, std::vector<bfloat16>{bfloat16(1.5f)})},
        {"double", Tensor::from<double>(*device_, {1, 1, 2}, std::vector<double>{0.1, 0.2})},
        {"index", Tensor::from<int32_t>(*device_, {0, 4}, std::vector<int32_t>{})}};
    const std::string path = folder_.path(name);
    write_safetensors(path, tensors, {{"k", "32"}, {"a", "quote \" and \n"}}, IfExists::refuse);
    return path;
  }
  SafetensorsFile open(const std::string& bytes) const { return SafetensorsFile(folder_.write("hostile", bytes)); }
  /// Opens and reads every tensor.
  std::string read_all(const std::string& bytes) const {
    const SafetensorsFile file = open(bytes);
    std::string all;
    for (const auto& [key, value] : file.metadata()) all += key + "=" + value + ";";
    for (const auto& entry : file.entries()) {
      const Tensor tensor = file.read(*device_, entry.name);
      all += entry.name + tensor.describe() +
             std::string(static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes()));
    }
    return all;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

TEST_F(Safetensors, ReadsBackWhatItWrote) {
  const SafetensorsFile file(write_example("x"));
  EXPECT_THAT(file.names(), ElementsAre("offsets", "double", "weight", "index", "tokens", "half"));
  EXPECT_THAT(file.read(*device_, "tokens").to_vector<uint16_t>(), ElementsAre(1, 2, 65535));
  EXPECT_THAT(file.read(*device_, "weight").to_vector<float>(), ElementsAre(1, -2, 0.5f, INFINITY));
  EXPECT_EQ(file.read(*device_, "weight").shape(), (Shape{2, 2}));
  EXPECT_THAT(file.read(*device_, "offsets").to_vector<int64_t>(), ElementsAre(0, INT64_MAX));
  EXPECT_EQ(static_cast<float>(file.read(*device_, "half").to_vector<bfloat16>()[0]), 1.5f);
  EXPECT_THAT(file.read(*device_, "double").to_vector<double>(), ElementsAre(0.1, 0.2));
  EXPECT_EQ(file.read(*device_, "index").describe(), "i32 [0, 4]");
  EXPECT_EQ(file.metadata("a"), "quote \" and \n");
  EXPECT_TRUE(file.has_metadata("k"));
  EXPECT_FALSE(file.has_metadata("b"));
  EXPECT_THROW(file.metadata("b"), Error);
  EXPECT_TRUE(file.has("half"));
  EXPECT_FALSE(file.has("quarter"));
  EXPECT_THAT([&] { file.entry("quarter"); },
              ThrowsMessage<Error>(HasSubstr("no tensor 'quarter'; it has offsets double")));
}

// The bytes that the format's own writer gives: header padded to 8 bytes, every tensor at a multiple of its size.
TEST_F(Safetensors, WritesTheFormatToTheByte) {
  write_safetensors(folder_.path("x"),
                    {{"t", Tensor::from<uint16_t>(*device_, {1}, std::vector<uint16_t>{0x4241})},
                     {"w", Tensor::from<float>(*device_, {1}, std::vector<float>{1.0f})}},
                    {{"m", "v"}}, IfExists::refuse);
  std::string header = R"({"__metadata__":{"m":"v"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                       R"("t":{"dtype":"U16","shape":[1],"data_offsets":[4,6]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(folder_.read("x"), with_length(header, std::string("\0\0\x80\x3f", 4) + "AB"));
}

TEST_F(Safetensors, EqualTensorsGiveEqualBytes) {
  write_example("x");
  write_example("y");
  EXPECT_EQ(folder_.read("x"), folder_.read("y"));
}

TEST_F(Safetensors, WriterRefusesWhatCannotBeReadBack) {
  const Tensor one = Tensor::scalar<float>(*device_, 1);
  const auto write = [&](const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
    write_safetensors(folder_.path("x"), tensors, metadata, IfExists::refuse);
  };
  EXPECT_THAT([&] { write({{"a", one}, {"a", one}}, {}); }, ThrowsMessage<Error>(HasSubstr("'a' is taken")));
  EXPECT_THROW(write({{"__metadata__", one}}, {}), Error);
  EXPECT_THAT([&] { write({{"a", Tensor()}}, {}); }, ThrowsMessage<Error>(HasSubstr("'a' has no value")));
  EXPECT_THROW(write({}, {{"k", "1"}, {"k", "2"}}), Error);
  EXPECT_EQ(folder_.entries(), 0);
  write({}, {});
  EXPECT_TRUE(SafetensorsFile(folder_.path("x")).names().empty());
  EXPECT_THAT([&] { write({{"a", one}}, {}); }, ThrowsMessage<Error>(HasSubstr("exists already")));
}

TEST_F(Safetensors, FullDiskLosesNothing) {
  write_example("x");
  const std::string before = folder_.read("x");
  const FileSizeLimit limit(4096);
  EXPECT_THAT(
      [&] {
        write_safetensors(folder_.path("x"), {{"big", Tensor::zeros(*device_, {1000, 10}, Dtype::f32)}}, {},
                          IfExists::replace);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("x: cannot be written"), HasSubstr("more bytes are needed"))));
  EXPECT_EQ(folder_.read("x"), before);
  EXPECT_EQ(folder_.entries(), 1);
}

TEST_F(Safetensors, ReadsHalfPrecisionScalarsAndUnalignedData) {
  const std::string data("\x00\x3c\x01\x00\x00\xfc\xff\x7b", 8);
  const SafetensorsFile file = open(with_length(
      R"({"h":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"s":{"dtype":"F16","shape":[],"data_offsets":[6,8]}})",
      data));
  EXPECT_THAT(file.read(*device_, "h").to_vector<float>(), ElementsAre(1.0f, 0x1p-24f, -INFINITY));
  EXPECT_EQ(file.read(*device_, "s").describe(), "f32 [1]");
  EXPECT_EQ(file.read(*device_, "s").data<float>()[0], 65504.0f);
  EXPECT_TRUE(std::isnan(half_to_float(0x7e00)));
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
}

TEST_F(Safetensors, OpensATensorThatItCannotHoldAndSaysSoOnReading) {
  const SafetensorsFile file = open(with_length(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"));
  EXPECT_EQ(file.bytes(file.entry("b")).size(), 1u);
  EXPECT_THAT([&] { file.read(*device_, "b"); }, ThrowsMessage<Error>(HasSubstr("tensor 'b' is U8")));
}

struct Hostile {
  const char* header;
  size_t data;
  const char* message;
};

TEST_F(Safetensors, RefusesFalseHeaders) {
  const Hostile cases[] = {
      {R"(["a"])", 0, "does not begin with"},
      {R"({"a":)", 0, "not valid JSON"},
      {R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4, "unknown dtype 'F31'"},
      {R"({"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}})", 4, "a dtype expected text"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "F32 of shape [2] does not fill its 4 bytes"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "extent"},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "expected an integer"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[0,4]}})", 4, "at most 4 extents"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4, "overflow 64 bits"},
      {R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0, "does not fill"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "leaves a gap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "0 <= begin <= end"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})", 4, "0 <= begin <= end"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4, "0 <= begin <= end"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}})", 4, "0 <= begin <= end"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8, "the tensors end at byte 66, the file at 70"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "needs 4 bytes at offset 62"},
      {R"({"a":{"dtype":"F32","shape":[250000000],"data_offsets":[0,1000000000]}})", 4, "needs 1000000000 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "overlaps another's"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "\"a\" is given twice"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "expected dtype, shape and data_offsets"},
      {R"({"a":{"dtype":"F32","shape":[1],"data":[0,4]}})", 4, "\"data_offsets\" is missing"},
      {R"({"a":[1,2,3]})", 4, "expected an object"},
      {R"({"a":7})", 0, "expected an object"},
      {R"({"__metadata__":{"k":7}})", 0, "__metadata__ k expected text, got an integer"},
      {R"({"__metadata__":"k"})", 0, "expected an object"},
      {R"({"__metadata__":[]})", 0, "expected an object"},
      {R"({"__metadata__":{"k":"v"},"__metadata__":{}})", 0, "expected an object, once"},
      {R"({"__metadata__":{"k":"v","k":"w"}})", 0, "\"k\" is given twice"},
      {R"({} {})", 0, "not valid JSON"},
  };
  for (const Hostile& hostile : cases) {
    EXPECT_THAT([&] { open(with_length(hostile.header, std::string(hostile.data, 'x'))); },
                ThrowsMessage<Error>(AllOf(HasSubstr("hostile"), HasSubstr(hostile.message))))
        << hostile.header;
  }
  EXPECT_THAT([&] { open(std::string(8, '\xff') + "{}"); }, ThrowsMessage<Error>(HasSubstr("18446744073709551615")));
  EXPECT_THAT([&] { open(std::string("\0\0\0\1\0\0\0\0{}", 10)); },
              ThrowsMessage<Error>(HasSubstr("the header needs 16777216 bytes at offset 8")));
  EXPECT_THAT([&] { open(std::string(100, '\0')); }, ThrowsMessage<Error>(HasSubstr("is it a safetensors file?")));
}

TEST_F(Safetensors, ReadsALongHeader) {
  std::vector<NamedTensor> tensors;
  const Tensor one = Tensor::scalar<float>(*device_, 1);
  for (int i = 0; i < 3000; ++i) tensors.push_back({"layer." + std::to_string(i) + ".weight", one});
  write_safetensors(folder_.path("x"), tensors, {}, IfExists::refuse);
  const SafetensorsFile file(folder_.path("x"));
  EXPECT_EQ(file.names().size(), 3000u);
  EXPECT_EQ(file.names()[2999], "layer.2999.weight");
}

TEST_F(Safetensors, RefusesEveryTruncation) {
  write_example("x");
  expect_truncations_refused([&](const std::string& bytes) { return read_all(bytes); }, folder_.read("x"));
}

TEST_F(Safetensors, SurvivesRandomEdits) {
  write_example("x");
  const ReadAll read = [&](const std::string& bytes) { return read_all(bytes); };
  expect_survives_edits(read, folder_.read("x"), 1, 3000);
}

}  // namespace
}  // namespace sae
