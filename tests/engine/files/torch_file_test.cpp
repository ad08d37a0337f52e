#include "engine/files/torch_file.h"

#include <gmock/gmock.h>

#include <fstream>

#include "engine/error.h"
#include "engine/files/pickle_writer.h"
#include "tests/support/damage.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class TorchFileTest : public testing::Test {
 protected:
  static std::string golden() { return std::string(SAE_GOLDEN) + "/torch_state_dict.pt"; }
  static std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path(const char* name) const { return folder_.path(name); }
  /// Everything that the file holds, as text.
  std::string read_all(const std::string& file_path) const {
    const TorchFile file(file_path);
    std::string all;
    for (const std::string& name : file.names()) {
      all += name;
      if (name != "bytes") all += file.read(*device_, name).describe();
    }
    for (const auto& [key, text] : file.texts()) all += key + text;
    return all;
  }
  void expect_refused(const std::string& bytes, const std::string& why) const {
    folder_.write("bad.pt", bytes);
    EXPECT_THAT([&] { read_all(path("bad.pt")); }, ThrowsMessage<Error>(HasSubstr(why)));
  }
  /// An archive with this pickle and one storage of four floats.
  std::string archive(const std::string& pickle) const {
    const float values[] = {1, 2, 3, 4};
    write_stored_zip(
        path("made.pt"),
        {{"archive/data.pkl", std::as_bytes(std::span(pickle))}, {"archive/data/0", std::as_bytes(std::span(values))}},
        IfExists::replace);
    return bytes_of(path("made.pt"));
  }
  static PickledTensor described(std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset = 0) {
    return {"FloatStorage", "0", 4, offset, std::move(shape), std::move(strides)};
  }

  TemporaryFolder folder_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

TEST_F(TorchFileTest, ReadsWhatTorchSaves) {
  const TorchFile file(golden());
  std::vector<float> base(15), transposed, view = {5, 7, 9, 10, 12, 14};
  for (size_t i = 0; i < 15; ++i) base[i] = static_cast<float>(i);
  for (size_t i = 0; i < 15; ++i) transposed.push_back(base[i % 3 * 5 + i / 3]);
  const auto floats = [&](const char* name) { return file.read(*device_, name).to(Dtype::f32).to_vector<float>(); };
  EXPECT_EQ(floats("encoder.weight"), transposed);
  EXPECT_EQ(file.read(*device_, "encoder.weight").shape(), (Shape{5, 3}));
  EXPECT_THAT(floats("encoder.bias"), ElementsAre(0.5f, -1, 2, 3, 4));
  for (const char* name : {"half", "bfloat16", "parameter"}) EXPECT_EQ(floats(name), base) << name;
  EXPECT_EQ(floats("view"), view);
  EXPECT_EQ(file.read(*device_, "double").to_vector<double>()[1], 1.0 / 3);
  EXPECT_THAT(file.read(*device_, "k").to_vector<int32_t>(), ElementsAre(7));
  EXPECT_EQ(file.read(*device_, "k").shape(), (Shape{1}));
  EXPECT_THAT(file.read(*device_, "group_sizes").to_vector<int64_t>(), ElementsAre(2, 3));
  EXPECT_EQ(file.text("activation"), "TopK");
  EXPECT_EQ(file.text("activation_state_dict.postact_fn"), "ReLU");
  EXPECT_EQ(file.integer("activation_state_dict.k"), 4);
  EXPECT_EQ(file.integer("large"), int64_t{1} << 40);
  EXPECT_EQ(file.integer("negative"), -5);
  EXPECT_FALSE(file.has("activation"));
  EXPECT_THAT([&] { file.read(*device_, "bytes"); }, ThrowsMessage<Error>(HasSubstr("has a ByteStorage")));
  EXPECT_THAT([&] { file.read(*device_, "x"); }, ThrowsMessage<Error>(HasSubstr("has no tensor 'x'")));
  EXPECT_THAT([&] { file.integer("rate"); }, ThrowsMessage<Error>(HasSubstr("has no integer 'rate'")));
  EXPECT_THAT([&] { file.text("nothing"); }, ThrowsMessage<Error>(HasSubstr("has no text 'nothing'")));
}

TEST_F(TorchFileTest, RoundTripAndEqualBytes) {
  const std::vector<NamedTensor> tensors = {
      {"a", Tensor::from(*device_, {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})},
      {"k", Tensor::scalar(*device_, int32_t{9})},
      {"l", Tensor::from(*device_, {2}, std::vector<int64_t>{-1, int64_t{1} << 40})},
      {"none", Tensor::zeros(*device_, {0, 4}, Dtype::f32)}};
  TorchExtras extras;
  extras.scalars = {"k"};
  extras.text_key = "activation";
  extras.text = "TopK";
  extras.dict_key = "state";
  extras.dict_number = {"k", 5};
  extras.dict_text = {"after", "ReLU"};
  write_torch_file(path("a.pt"), tensors, extras, IfExists::refuse);
  write_torch_file(path("b.pt"), tensors, extras, IfExists::refuse);
  EXPECT_EQ(bytes_of(path("a.pt")), bytes_of(path("b.pt")));
  const TorchFile file(path("a.pt"));
  EXPECT_THAT(file.names(), ElementsAre("a", "k", "l", "none"));
  for (const auto& [name, tensor] : tensors) {
    const Tensor got = file.read(*device_, name);
    EXPECT_EQ(got.describe(), tensor.describe());
    EXPECT_EQ(std::memcmp(got.raw(), tensor.raw(), static_cast<size_t>(got.bytes())), 0) << name;
  }
  EXPECT_EQ(file.text("activation"), "TopK");
  EXPECT_EQ(file.integer("state.k"), 5);
  EXPECT_EQ(file.text("state.after"), "ReLU");
  const StoredZip zip(path("a.pt"));
  for (const std::string& member : zip.names()) EXPECT_EQ(zip.offset(member) % 64, 0) << member;
  EXPECT_THAT([&] { write_torch_file(path("a.pt"), tensors, extras, IfExists::refuse); },
              ThrowsMessage<Error>(HasSubstr("a.pt")));
}

TEST_F(TorchFileTest, NothingOfAPickleIsRun) {
  const std::string call = std::string("\x80\x02", 2) + "cos\nsystem\nX\x04" + std::string(3, '\0') + "true\x85R.";
  expect_refused(archive(call), "byte 2: it asks for 'os system'");
  expect_refused(archive(std::string("\x80\x04.", 3)), "has protocol 4");
  expect_refused(archive("}i."), "the opcode 0x69 is not used");
  expect_refused(archive("K\x01."), "holds no dict of tensors");
  expect_refused(archive("}h\x05."), "value 5 of the memo was never stored");
  expect_refused(archive("}u."), "a mark is missing");
  expect_refused(archive("}X\xff\xff\xff\xff."), "the pickle is cut off");
  expect_refused(archive("}.}"), "follow the pickle's end");
  expect_refused(archive(""), "the pickle is cut off: 1 bytes are missing");
  // a dict that holds itself, and 100,000 tuples one in the other: neither hurts
  EXPECT_NO_THROW(read_all((archive(std::string("}q\0X\1\0\0\0ah\0s.", 13)), path("made.pt"))));
  EXPECT_NO_THROW(
      read_all((archive("}X\1" + std::string(3, '\0') + "a)" + std::string(100000, '\x85') + "s."), path("made.pt"))));
}

TEST_F(TorchFileTest, TensorsStayWithinTheirStorages) {
  const auto made = [&](const PickledTensor& tensor) {
    PickleWriter pickle;
    pickle.add("t", tensor);
    return archive(std::move(pickle).finish());
  };
  EXPECT_NO_THROW(read_all((made(described({2, 2}, {1, 2})), path("made.pt"))));
  EXPECT_NO_THROW(read_all((made(described({0, 9}, {9, 1}, 4)), path("made.pt"))));
  constexpr int64_t huge = int64_t{1} << 62;
  for (const PickledTensor& tensor :
       {described({5}, {1}), described({2, 2}, {2, 2}), described({4}, {1}, 1), described({huge}, {0}),
        described({2}, {huge}), described({1}, {1}, huge), described({huge, huge}, {1, 1}), described({}, {}, 4)}) {
    expect_refused(made(tensor), "reaches beyond its storage of 4 elements");
  }
  PickledTensor other = described({4}, {1});
  other.storage_elements = 5;
  expect_refused(made(other), "storage '0' has 16 bytes, expected 5 elements of 4");
  other.key = "1";
  expect_refused(made(other), "the archive has no member 'archive/data/1'");
  expect_refused(made(described({1, 1, 1, 1, 1}, {1, 1, 1, 1, 1})), "has 5 axes");
  expect_refused(made(described({-1}, {1})), "is no integer of 0 or more");
}

TEST_F(TorchFileTest, DamagedFilesAreRefused) {
  const std::string whole = bytes_of(golden());
  const ReadAll read = [&](const std::string& bytes) {
    folder_.write("damaged.pt", bytes);
    return read_all(path("damaged.pt"));
  };
  EXPECT_FALSE(is_refused(read, whole));
  for (size_t length = 0; length < whole.size(); length += 7) EXPECT_TRUE(is_refused(read, whole.substr(0, length)));
  expect_survives_edits(read, whole, 1, 2000);
  std::string flipped = whole;
  flipped[whole.find("TopK")] = 't';
  expect_refused(flipped, "is damaged (its CRC differs)");
  expect_refused("not a zip archive at all, but long enough to be one", "is no zip archive");
  expect_refused(whole + "x", "expected the end of the zip directory");
}

}  // namespace
}  // namespace sae
