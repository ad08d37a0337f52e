#include "models/language_model/gguf.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "engine/error.h"
#include "models/language_model/dequantise.h"

namespace sae {
namespace {

constexpr uint32_t magic = 0x46554747;  // "GGUF"
/// Entries of a tensor's or key's name; the format allows 64 bytes for the one and 65535 for the other.
constexpr uint64_t longest_name = 65535;

// Kinds of metadata values, as the file numbers them.
enum Kind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

int64_t bytes_of(uint32_t kind) {
  switch (kind) {
    case u8:
    case i8:
    case boolean:
      return 1;
    case u16:
    case i16:
      return 2;
    case u32:
    case i32:
    case f32:
      return 4;
    case u64:
    case i64:
    case f64:
      return 8;
    default:
      return 0;
  }
}

template <class T>
double read_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return static_cast<double>(value);
}

double number_at(uint32_t kind, const std::byte* from) {
  switch (kind) {
    case i8:
      return read_as<int8_t>(from);
    case u16:
      return read_as<uint16_t>(from);
    case i16:
      return read_as<int16_t>(from);
    case u32:
      return read_as<uint32_t>(from);
    case i32:
      return read_as<int32_t>(from);
    case f32:
      return read_as<float>(from);
    case u64:
      return read_as<uint64_t>(from);
    case i64:
      return read_as<int64_t>(from);
    case f64:
      return read_as<double>(from);
    default:
      return read_as<uint8_t>(from);
  }
}

}  // namespace

/// Walks the header. Every step first looks whether the file still has the bytes.
class GgufFile::Reader {
 public:
  explicit Reader(const MappedFile& file) : file_(file), bytes_(file.bytes()) {}

  uint64_t offset() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  template <class... Arguments>
  [[noreturn]] void refuse(uint64_t at, fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    fail("{}: byte {}: {}", file_.name(), at, fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  template <class T>
  T scalar(const char* what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  std::string_view text(const char* what, uint64_t longest = std::numeric_limits<uint64_t>::max()) {
    const uint64_t begin = at_, length = scalar<uint64_t>(what);
    if (length > longest) refuse(begin, "{} of {} bytes, where at most {} are allowed", what, length, longest);
    if (length > left()) refuse(begin, "{} of {} bytes, but the file ends after {}", what, length, left());
    const auto* data = reinterpret_cast<const char*>(bytes_.data() + at_);
    at_ += length;
    return {data, static_cast<size_t>(length)};
  }

  /// A count of things that take at least `bytes_each` bytes, so that no count is believed that the file cannot hold.
  uint64_t count(const char* what, uint64_t bytes_each) {
    const uint64_t begin = at_, number = scalar<uint64_t>(what);
    check_count(begin, what, number, bytes_each);
    return number;
  }
  void check_count(uint64_t begin, const char* what, uint64_t number, uint64_t bytes_each) const {
    if (number > left() / bytes_each) {
      refuse(begin, "{} {}, which need at least {} bytes each, but the file has {} bytes left", number, what,
             bytes_each, left());
    }
  }

  MetadataValue value(uint32_t kind, std::string_view key) {
    switch (kind) {
      case u8:
        return static_cast<int64_t>(scalar<uint8_t>("a value"));
      case i8:
        return static_cast<int64_t>(scalar<int8_t>("a value"));
      case u16:
        return static_cast<int64_t>(scalar<uint16_t>("a value"));
      case i16:
        return static_cast<int64_t>(scalar<int16_t>("a value"));
      case u32:
        return static_cast<int64_t>(scalar<uint32_t>("a value"));
      case i32:
        return static_cast<int64_t>(scalar<int32_t>("a value"));
      case u64: {
        const uint64_t begin = at_, number = scalar<uint64_t>("a value");
        if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
          refuse(begin, "'{}' is {}, which no quantity of a model is", key, number);
        }
        return static_cast<int64_t>(number);
      }
      case i64:
        return scalar<int64_t>("a value");
      case f32:
        return static_cast<double>(scalar<float>("a value"));
      case f64:
        return scalar<double>("a value");
      case boolean:
        return truth(key);
      case string:
        return text("a text");
      case array:
        return list(key);
      default:
        refuse(at_ - sizeof(uint32_t), "'{}' has a value of kind {}, which the format does not have", key, kind);
    }
  }

 private:
  void need(uint64_t bytes, const char* what) const {
    if (bytes > left()) {
      refuse(at_, "the file ends here, within its header, where {} was expected; it is truncated or no GGUF file",
             what);
    }
  }

  bool truth(std::string_view key) {
    const auto byte = scalar<uint8_t>("a truth value");
    if (byte > 1) refuse(at_ - 1, "'{}' is {}, where 0 or 1 was expected", key, byte);
    return byte == 1;
  }

  MetadataValue list(std::string_view key) {
    const uint64_t begin = at_;
    const auto kind = scalar<uint32_t>("the kind of a list");
    const auto number = scalar<uint64_t>("the length of a list");
    if (kind == string) {
      check_count(begin, "texts in a list", number, sizeof(uint64_t));
      TextArray result;
      result.texts.reserve(number);
      for (uint64_t i = 0; i < number; ++i) result.texts.push_back(text("a text of a list"));
      return result;
    }
    const int64_t size = bytes_of(kind);
    if (size == 0) refuse(begin, "'{}' is a list of values of kind {}, which is not supported", key, kind);
    check_count(begin, "numbers in a list", number, static_cast<uint64_t>(size));
    const uint64_t bytes = number * static_cast<uint64_t>(size);
    at_ += bytes;
    return NumberArray{kind, bytes_.subspan(at_ - bytes, bytes)};
  }

  const MappedFile& file_;
  std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
};

GgufFile::GgufFile(std::string path) : file_(std::move(path)) {
  Reader reader(file_);
  const auto first = reader.scalar<uint32_t>("'GGUF'");
  CHECK(first == magic, "{}: byte 0: expected 'GGUF'; this is no GGUF model file", file_.name());
  const auto version = reader.scalar<uint32_t>("the version");
  if (version != 2 && version != 3) {
    const bool swapped = version == 0x03000000 || version == 0x02000000;
    reader.refuse(4, "version {}{}; versions 2 and 3 are supported", version, swapped ? " (a big-endian file)" : "");
  }
  const uint64_t tensors = reader.count("tensors", 4 + 8 + 4 + 8);
  const uint64_t entries = reader.count("metadata entries", 8 + 4 + 1);
  read_metadata(reader, entries);
  const int64_t alignment = integer_or("general.alignment", 32);
  CHECK(alignment > 0 && alignment <= 1 << 20 && (alignment & (alignment - 1)) == 0,
        "{}: general.alignment is {}, where a power of two was expected", name(), alignment);
  alignment_ = static_cast<uint64_t>(alignment);
  read_tensor_table(reader, tensors);
  place_tensors((reader.offset() + alignment_ - 1) / alignment_ * alignment_);
}

void GgufFile::read_metadata(Reader& reader, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t begin = reader.offset();
    const std::string_view key = reader.text("a metadata key", longest_name);
    const auto kind = reader.scalar<uint32_t>("the kind of a value");
    MetadataValue read = reader.value(kind, key);
    if (!metadata_.emplace(key, std::move(read)).second) reader.refuse(begin, "the key '{}' stands here again", key);
  }
}

void GgufFile::read_tensor_table(Reader& reader, uint64_t count) {
  tensors_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t begin = reader.offset();
    TensorInfo info;
    info.name = reader.text("a tensor's name", longest_name);
    const auto rank = reader.scalar<uint32_t>("a tensor's rank");
    if (rank == 0 || rank > 4)
      reader.refuse(begin, "tensor '{}' has {} dimensions; 1 to 4 are possible", info.name, rank);
    std::array<int64_t, 4> extents{};
    int64_t elements = 1;
    for (uint32_t axis = 0; axis < rank; ++axis) {
      const auto extent = reader.scalar<uint64_t>("a tensor's dimension");
      if (extent == 0 || extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / elements)) {
        reader.refuse(begin, "tensor '{}' has a dimension of {}", info.name, extent);
      }
      elements *= static_cast<int64_t>(extent);
      extents[rank - 1 - axis] = static_cast<int64_t>(extent);
    }
    info.shape = Shape(std::span<const int64_t>(extents.data(), rank));
    info.type = reader.scalar<uint32_t>("a tensor's type");
    info.offset = reader.scalar<uint64_t>("a tensor's offset");
    if (info.offset % alignment_ != 0) {
      reader.refuse(begin, "tensor '{}' starts at {}, which is no multiple of {}", info.name, info.offset, alignment_);
    }
    if (!places_.emplace(info.name, tensors_.size()).second) {
      reader.refuse(begin, "the tensor '{}' stands here again", info.name);
    }
    tensors_.push_back(info);
  }
}

void GgufFile::place_tensors(uint64_t data_begin) {
  const auto size = static_cast<uint64_t>(file_.size());
  for (TensorInfo& info : tensors_) {
    // an unknown type has a place all the same; its length shows only when somebody reads it
    const Quantisation* quantisation = find_quantisation(info.type);
    uint64_t bytes = 0;
    if (quantisation != nullptr) {
      CHECK(info.shape.cols() % quantisation->block_elements == 0,
            "{}: tensor '{}' has rows of {} elements, which are no whole blocks of {}", name(), info.name,
            info.shape.cols(), quantisation->name);
      const auto blocks = static_cast<uint64_t>(info.shape.elements() / quantisation->block_elements);
      const auto block_bytes = static_cast<uint64_t>(quantisation->block_bytes);
      CHECK(blocks <= size / block_bytes, "{}: tensor '{}' {} of {} is larger than the file of {} bytes", name(),
            info.name, info.shape.to_string(), quantisation->name, size);
      bytes = blocks * block_bytes;
    }
    CHECK(data_begin <= size && info.offset <= size - data_begin && bytes <= size - data_begin - info.offset,
          "{}: tensor '{}' lies at bytes {} to {}, but the file ends at {}; it is truncated: fetch it again", name(),
          info.name, data_begin + info.offset, data_begin + info.offset + bytes, size);
    info.offset += data_begin;
    info.bytes = file_.bytes().subspan(info.offset, bytes);
  }
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& info : tensors_) order.push_back(&info);
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    CHECK(order[i - 1]->offset + order[i - 1]->bytes.size() <= order[i]->offset,
          "{}: the tensors '{}' and '{}' overlap at byte {}", name(), order[i - 1]->name, order[i]->name,
          order[i]->offset);
  }
}

const GgufFile::MetadataValue& GgufFile::value(std::string_view key) const {
  const auto found = metadata_.find(key);
  CHECK(found != metadata_.end(), "{}: the metadata lack '{}'", name(), key);
  return found->second;
}

template <class T>
const T& GgufFile::expect(std::string_view key, const char* kind) const {
  const T* found = std::get_if<T>(&value(key));
  CHECK(found != nullptr, "{}: '{}' in the metadata is not {}", name(), key, kind);
  return *found;
}

int64_t GgufFile::integer(std::string_view key) const { return expect<int64_t>(key, "a whole number"); }
double GgufFile::number(std::string_view key) const {
  if (const auto* whole = std::get_if<int64_t>(&value(key))) return static_cast<double>(*whole);
  return expect<double>(key, "a number");
}
std::string_view GgufFile::text(std::string_view key) const { return expect<std::string_view>(key, "a text"); }
const std::vector<std::string_view>& GgufFile::texts(std::string_view key) const {
  return expect<TextArray>(key, "a list of texts").texts;
}
std::vector<double> GgufFile::numbers(std::string_view key) const {
  const auto& list = expect<NumberArray>(key, "a list of numbers");
  std::vector<double> numbers;
  const auto size = static_cast<size_t>(bytes_of(list.kind));
  numbers.reserve(list.bytes.size() / size);
  for (size_t at = 0; at < list.bytes.size(); at += size) {
    numbers.push_back(number_at(list.kind, list.bytes.data() + at));
  }
  return numbers;
}
int64_t GgufFile::integer_or(std::string_view key, int64_t preset) const { return has(key) ? integer(key) : preset; }
double GgufFile::number_or(std::string_view key, double preset) const { return has(key) ? number(key) : preset; }
bool GgufFile::boolean_or(std::string_view key, bool preset) const {
  return has(key) ? expect<bool>(key, "a truth value") : preset;
}

const GgufFile::TensorInfo* GgufFile::find_tensor(std::string_view tensor_name) const {
  const auto found = places_.find(tensor_name);
  return found == places_.end() ? nullptr : &tensors_[found->second];
}

const GgufFile::TensorInfo& GgufFile::tensor(std::string_view tensor_name, const Shape& expected) const {
  const TensorInfo* found = find_tensor(tensor_name);
  CHECK(found != nullptr, "{}: the tensor '{}' is missing", name(), tensor_name);
  CHECK(found->shape == expected, "{}: tensor '{}' is {}, where the metadata ask for {}", name(), tensor_name,
        found->shape.to_string(), expected.to_string());
  CHECK(find_quantisation(found->type) != nullptr,
        "{}: tensor '{}' is stored as {}, which is not supported; supported: {}", name(), tensor_name,
        quantisation_name(found->type), supported_quantisations());
  return *found;
}

void GgufFile::read(const TensorInfo& info, std::span<float> to) const {
  const Quantisation* quantisation = find_quantisation(info.type);
  CHECK(quantisation != nullptr, "{}: tensor '{}' is stored as {}, which is not supported", name(), info.name,
        quantisation_name(info.type));
  dequantise(*quantisation, info.bytes, to);
}

}  // namespace sae
